package io.flynn.blobstore.app;

import ch.qos.logback.classic.AsyncAppender;
import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.JsonEncoder;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.Appender;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.encoder.Encoder;
import ch.qos.logback.core.spi.ContextAwareBase;

/**
 * How the program logs: one JSON object a line on standard error; standard output belongs to reports and to the server's requests. Written in
 * Java, since to read the same from XML delays every start. Where {@code -Dlogback.configurationFile} or a {@code logback-test.xml} says
 * otherwise, that holds.
 */
public final class Logs extends ContextAwareBase implements Configurator {

    /** Of {@link #requests}. */
    static final String ACCESS = "access";

    private static final int REQUESTS_MAX = 8_192;

    @Override
    public ExecutionStatus configure(LoggerContext logback) {
        if (System.getProperty("logback.configurationFile") != null
                || Logs.class.getResource("/logback-test.xml") != null) {
            return ExecutionStatus.INVOKE_NEXT_IF_ANY;
        }
        JsonEncoder json = new JsonEncoder();
        json.setWithSequenceNumber(false);
        json.setWithNanoseconds(false);
        json.setWithThreadName(false);
        json.setWithContext(false);
        json.setWithMarkers(false);
        json.setWithMDC(false);
        json.setWithMessage(false);
        json.setWithArguments(false);
        json.setWithFormattedMessage(true);
        Logger root = logback.getLogger(Logger.ROOT_LOGGER_NAME);
        root.setLevel(Level.toLevel(System.getenv("BLOBSTORE_LOG_LEVEL"), Level.INFO));
        root.addAppender(console(logback, "stderr", "System.err", json));
        logback.getLogger("org.eclipse.jetty").setLevel(Level.WARN);
        logback.getLogger("com.zaxxer.hikari").setLevel(Level.WARN);
        return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
    }

    /** The server's requests, each a JSON object already, on standard output. One that nobody takes holds up no request. */
    static void requests(LoggerContext logback) {
        PatternLayoutEncoder line = new PatternLayoutEncoder();
        line.setPattern("%msg%n");
        Logger requests = logback.getLogger(ACCESS);
        requests.setLevel(Level.INFO);
        requests.setAdditive(false);
        requests.addAppender(queued(logback, "requests", REQUESTS_MAX, console(logback, "stdout", "System.out", line)));
    }

    /** What is before {@code appender} then drops what it has no room for. */
    static AsyncAppender queued(LoggerContext logback, String name, int lines, Appender<ILoggingEvent> appender) {
        AsyncAppender queue = new AsyncAppender();
        queue.setContext(logback);
        queue.setName(name);
        queue.setQueueSize(lines);
        queue.setDiscardingThreshold(0);
        queue.setNeverBlock(true);
        queue.addAppender(appender);
        queue.start();
        return queue;
    }

    private static ConsoleAppender<ILoggingEvent> console(
            LoggerContext logback, String name, String target, Encoder<ILoggingEvent> encoder) {
        encoder.setContext(logback);
        encoder.start();
        ConsoleAppender<ILoggingEvent> console = new ConsoleAppender<>();
        console.setContext(logback);
        console.setName(name);
        console.setTarget(target);
        console.setEncoder(encoder);
        console.start();
        return console;
    }
}
