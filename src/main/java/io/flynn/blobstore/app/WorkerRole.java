package io.flynn.blobstore.app;

import picocli.CommandLine.Command;

/** One stage of a migration, as its pod runs it. */
@Command(
        name = "worker",
        description = "Runs one stage of a migration.",
        mixinStandardHelpOptions = true,
        synopsisSubcommandLabel = "STAGE")
final class WorkerRole {}
