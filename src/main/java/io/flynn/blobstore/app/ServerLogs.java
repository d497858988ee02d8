package io.flynn.blobstore.app;

import ch.qos.logback.classic.AsyncAppender;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.Appender;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.LoggerFactory;

/**
 * Logging that holds up no request: what nobody takes is dropped once the queues are full. Other roles log rarely, and their last
 * words are worth waiting for.
 */
final class ServerLogs implements AutoCloseable {

    private static final int LINES_MAX = 1_024;

    private final List<AsyncAppender> queues = new ArrayList<>();

    private ServerLogs() {}

    /** Puts a queue before whatever the root logger writes to, and has requests written, unless a configuration of logback's says where. */
    static ServerLogs begin() {
        ServerLogs logs = new ServerLogs();
        if (LoggerFactory.getILoggerFactory() instanceof LoggerContext context) {
            Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
            appenders(root).forEach(appender -> logs.queue(appender, root, context));
            if (appenders(context.getLogger(Logs.ACCESS)).isEmpty()) {
                Logs.requests(context);
            }
            context.getLoggerList().stream()
                    .flatMap(logger -> appenders(logger).stream())
                    .forEach(logs::keep);
        }
        return logs;
    }

    private void queue(Appender<ILoggingEvent> appender, Logger root, LoggerContext context) {
        root.detachAppender(appender);
        root.addAppender(Logs.queued(context, appender.getName() + "-queue", LINES_MAX, appender));
    }

    private void keep(Appender<ILoggingEvent> appender) {
        if (appender instanceof AsyncAppender queue) {
            queues.add(queue);
        }
    }

    private static List<Appender<ILoggingEvent>> appenders(Logger logger) {
        List<Appender<ILoggingEvent>> appenders = new ArrayList<>();
        logger.iteratorForAppenders().forEachRemaining(appenders::add);
        return appenders;
    }

    /** Writes what is queued, for at most a second each (AsyncAppender's maxFlushTime): nothing is logged any more then. */
    @Override
    public void close() {
        queues.forEach(AsyncAppender::stop);
    }
}
