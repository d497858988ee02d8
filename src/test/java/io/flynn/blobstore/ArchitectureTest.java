package io.flynn.blobstore;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.URI;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;
import org.reactivestreams.Publisher;
import software.amazon.awssdk.core.async.AsyncRequestBody;

/**
 * The floors: a floor imports only floors below it. It is also the security model, since what cannot be imported cannot be done: the operator
 * holds no data connection, server and worker hold no cluster client.
 */
@AnalyzeClasses(packages = "io.flynn.blobstore", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {
    private static final String ROOT = "io.flynn.blobstore.";
    private static final List<String> FLOORS =
            List.of("blob", "decide", "api", "store", "move", "serve", "operate", "app");
    private static final String[] KUBERNETES = {"io.fabric8..", "io.javaoperatorsdk.."};
    private static final String[] DATA = {
        "java.sql..", "javax.sql..", "org.postgresql..", "com.zaxxer..", "software.amazon.."
    };
    private static final String[] EFFECTS = {
        "java.net..",
        "java.nio.file..",
        "java.nio.channels..",
        "java.sql..",
        "javax.sql..",
        "java.util.concurrent..",
        "org.slf4j..",
        "ch.qos.logback.."
    };

    /** Of the forbidden packages, what is only a value; what they can do besides is in {@link #NOT_PURE}. */
    private static final Class<?>[] VALUES = {URI.class, InetAddress.class, Inet4Address.class, Inet6Address.class};

    private static final Set<String> NOT_PURE = Set.of(
            "java.lang.System.currentTimeMillis",
            "java.lang.System.nanoTime",
            "java.lang.System.getenv",
            "java.lang.System.getProperty",
            "java.lang.Thread.sleep",
            "java.lang.Math.random",
            "java.time.Instant.now",
            "java.time.LocalDate.now",
            "java.time.OffsetDateTime.now",
            "java.time.Clock.systemUTC",
            "java.util.UUID.randomUUID",
            "java.net.InetAddress.getByName",
            "java.net.InetAddress.getAllByName",
            "java.net.InetAddress.getLocalHost",
            "java.net.InetAddress.getHostName",
            "java.net.InetAddress.getCanonicalHostName",
            "java.net.InetAddress.isReachable");

    @ArchTest
    static final ArchRule blobIsValues = only("blob").because("values know nothing but each other and the JDK");

    @ArchTest
    static final ArchRule decideIsBuiltOnValues =
            only("decide", "blob").because("a decision that reads the world cannot be tested as a table");

    @ArchTest
    static final ArchRule storeIsBelowItsUsers = floor("store", "blob", "decide", "store");

    @ArchTest
    static final ArchRule moveSpeaksToStores = floor("move", "blob", "decide", "store", "move");

    @ArchTest
    static final ArchRule serveSpeaksToStores = floor("serve", "blob", "decide", "store", "serve");

    @ArchTest
    static final ArchRule operateSpeaksToKubernetes = floor("operate", "blob", "decide", "api", "operate");

    @ArchTest
    static final ArchRule resourcesAreTypes = floor("api", "blob", "decide", "api");

    @ArchTest
    static final ArchRule resourcesAreForTheOperator = classes()
            .that()
            .resideInAPackage(ROOT + "api..")
            .should()
            .onlyBeAccessed()
            .byAnyPackage(ROOT + "api..", ROOT + "operate..", ROOT + "app..")
            .allowEmptyShould(true);

    @ArchTest
    static final ArchRule decisionsArePure = noClasses()
            .that()
            .resideInAnyPackage(ROOT + "blob..", ROOT + "decide..")
            .should()
            .dependOnClassesThat(resideInAnyPackage(EFFECTS).and(not(belongToAnyOf(VALUES))))
            .orShould()
            .callMethodWhere(describe(
                    "clock, randomness or environment",
                    call -> NOT_PURE.contains(call.getTargetOwner().getName() + "."
                            + call.getTarget().getName())))
            .because("I/O, clock, randomness and environment are parameters");

    @ArchTest
    static final ArchRule theOperatorHoldsNoData = none("operate", DATA);

    @ArchTest
    static final ArchRule resourcesHoldNoData = none("api", DATA);

    @ArchTest
    static final ArchRule theWorkerHoldsNoCluster = none("move", KUBERNETES);

    @ArchTest
    static final ArchRule theServerHoldsNoCluster = none("serve", KUBERNETES);

    @ArchTest
    static final ArchRule theStoresHoldNoCluster = none("store", KUBERNETES);

    @ArchTest
    static final ArchRule onlyAdaptersSpeakSql = noClasses()
            .that()
            .resideInAnyPackage(ROOT + "move..", ROOT + "serve..")
            .should()
            .dependOnClassesThat(resideInAnyPackage("org.postgresql..", "software.amazon.."))
            .because("drivers and SDKs stay behind the ports of store");

    @ArchTest
    static final ArchRule theAdaptersDoNotKnowEachOther = slices().matching(ROOT + "store.(*)..")
            .should()
            .notDependOnEachOther()
            .allowEmptyShould(true);

    @ArchTest
    static final ArchRule bodiesSayHowLongTheyAre = noClasses()
            .should()
            .callMethod(AsyncRequestBody.class, "fromPublisher", Publisher.class)
            .because("the SDK keeps a body without a length in memory to learn it");

    @ArchTest
    static final ArchRule noCycles = slices().matching(ROOT + "(**)").should().beFreeOfCycles();

    @ArchTest
    static void everyPackageRejectsNull(JavaClasses classes) {
        var packages = classes.stream()
                .map(JavaClass::getPackage)
                .filter(candidate -> !candidate.getClasses().isEmpty())
                .collect(Collectors.toSet());
        assertThat(packages)
                .isNotEmpty()
                .allSatisfy(candidate -> assertThat(candidate.tryGetAnnotationOfType(NullMarked.class))
                        .as("%s has a package-info with @NullMarked", candidate.getName())
                        .isPresent());
    }

    private static ArchRule floor(String floor, String... below) {
        var forbidden = FLOORS.stream()
                .filter(other -> !List.of(below).contains(other))
                .map(other -> ROOT + other + "..")
                .toArray(String[]::new);
        return none(floor, forbidden);
    }

    private static ArchRule none(String floor, String... forbidden) {
        return noClasses()
                .that()
                .resideInAPackage(ROOT + floor + "..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(forbidden)
                .allowEmptyShould(true);
    }

    private static ArchRule only(String floor, String... below) {
        var allowed = Stream.concat(
                        Stream.of("java..", "org.jspecify.annotations..", ROOT + floor + ".."),
                        Stream.of(below).map(other -> ROOT + other + ".."))
                .toArray(String[]::new);
        return classes()
                .that()
                .resideInAPackage(ROOT + floor + "..")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(allowed);
    }
}
