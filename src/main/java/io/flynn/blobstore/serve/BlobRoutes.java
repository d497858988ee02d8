package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.serve.ServerSettings.Redirects;
import io.flynn.blobstore.store.NameRefused;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which request does what, and how failures are answered: the only place that logs them. Every request runs in a virtual
 * thread of its own and may block.
 */
final class BlobRoutes extends Handler.Abstract {

    private static final Logger LOG = LoggerFactory.getLogger(BlobRoutes.class);

    private static final BlobName STATUS = new BlobName("/.well-known/status");
    private static final BlobName READY = new BlobName("/.well-known/ready");

    private static final FailureAnswer INTERNAL =
            new FailureAnswer(500, "internal error", RequestFacts.NO_BACKEND, Reasons.INTERNAL, FailureAnswer.LATER);

    private static final int TAKEN_BYTES_MAX = 1 << 20;
    private static final Duration TAKEN_IDLE = Duration.ofSeconds(2);
    private static final int TAKEN_AT_ONCE = 16 * 1024;

    private static final String NAME_REFUSED =
            "the database can't hold this name: it is too long, or has characters that the database's encoding lacks";

    private final Health health;
    private final ServerMetrics metrics;
    private final long blobBytesMax;
    private final BackendName defaultBackend;
    private final ServedCatalog catalog;
    private final BlobDownload download;
    private final BlobUpload upload;
    private final Listing listing;

    /** @param blobBytesMax the largest blob that is taken */
    BlobRoutes(
            Redirects redirects,
            ServedCatalog catalog,
            Backends backends,
            Health health,
            ServerMetrics metrics,
            long blobBytesMax) {
        this.catalog = catalog;
        this.health = health;
        this.metrics = metrics;
        this.blobBytesMax = blobBytesMax;
        defaultBackend = backends.defaultBackend();
        download = new BlobDownload(catalog, backends, redirects);
        upload = new BlobUpload(catalog, backends);
        listing = new Listing(catalog);
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) {
        RequestFacts facts = RequestFacts.of(request);
        try {
            route(request, response);
            callback.succeeded();
        } catch (Refusal e) {
            refuse(e, request, response, callback);
        } catch (NameRefused e) {
            answer(400, NAME_REFUSED, FailureAnswer.SOON, request, response, callback);
        } catch (StorageFailure e) {
            FailureAnswer answer = FailureAnswer.of(e, facts.backend());
            metrics.failed(answer.backend(), answer.reason());
            fail(answer, e, request, response, callback);
        } catch (LimitedBody.TooLarge e) {
            refuse(LimitedBody.tooLarge(blobBytesMax), request, response, callback);
        } catch (IOException e) {
            facts.brokenOff(e);
            LOG.atDebug()
                    .addKeyValue("id", facts.id())
                    .addKeyValue("method", request.getMethod())
                    .addKeyValue("path", request.getHttpURI().getPath())
                    .log("client broke off");
            callback.failed(e);
        } catch (RuntimeException e) {
            fail(INTERNAL, e, request, response, callback);
        }
        return true;
    }

    private void route(Request request, Response response) throws IOException {
        String path = request.getHttpURI().getPath();
        if (path == null) {
            throw new Refusal(400, "the request has no path");
        }
        BlobName name = RequestTarget.name(path);
        String method = request.getMethod();
        if (name.equals(STATUS) || name.equals(READY)) {
            requireReading(method);
            health.answer(name.equals(READY), response);
            return;
        }
        health.requireStarted();
        if (name.isRoot()) {
            root(method, request, response);
        } else {
            blob(name, method, request, response);
        }
    }

    private void root(String method, Request request, Response response) throws IOException {
        switch (method) {
            case "GET" -> listing.get(request, response);
            case "HEAD" -> response.setStatus(200);
            // There is no blob that is called like the root.
            case "PUT", "DELETE" -> throw Refusal.notFound();
            default -> throw notAllowed();
        }
    }

    private void blob(BlobName name, String method, Request request, Response response) throws IOException {
        switch (method) {
            case "GET" -> download.get(name, request, response);
            case "HEAD" -> download.head(name, request, response);
            case "PUT" -> {
                RequestFacts.of(request).backend(defaultBackend.value());
                upload.put(name, LimitedBody.of(request, blobBytesMax));
            }
            case "DELETE" -> catalog.delete(name, Preconditions.ofChange(request.getHeaders()));
            default -> throw notAllowed();
        }
    }

    private static void requireReading(String method) {
        if (!method.equals("GET") && !method.equals("HEAD")) {
            throw notAllowed();
        }
    }

    private static Refusal notAllowed() {
        return new Refusal(405, "method not allowed: use GET, HEAD, PUT or DELETE");
    }

    private void refuse(Refusal refusal, Request request, Response response, Callback callback) {
        RequestFacts facts = RequestFacts.of(request);
        refusal.reason().ifPresent(reason -> {
            facts.failed(refusal.status(), reason);
            metrics.failed(facts.backend(), reason);
        });
        Duration retryAfter = refusal.reason().isPresent() ? FailureAnswer.LATER : FailureAnswer.SOON;
        answer(refusal.status(), refusal.answer(), retryAfter, request, response, callback);
    }

    private static void fail(
            FailureAnswer answer, RuntimeException failure, Request request, Response response, Callback callback) {
        RequestFacts facts = RequestFacts.of(request);
        facts.failed(answer.status(), answer.reason());
        LOG.atWarn()
                .addKeyValue("id", facts.id())
                .addKeyValue("method", request.getMethod())
                .addKeyValue("path", request.getHttpURI().getPath())
                .addKeyValue("backend", answer.backend())
                .setCause(failure)
                .log("request failed");
        if (response.isCommitted()) {
            // Part of a success was sent: only breaking off tells the client that the rest is missing.
            callback.failed(failure);
        } else {
            response.reset();
            answer(answer.status(), answer.message(), answer.retryAfter(), request, response, callback);
        }
    }

    private static void answer(
            int status, String message, Duration retryAfter, Request request, Response response, Callback callback) {
        response.setStatus(status);
        if (status == 503) {
            response.getHeaders().put(HttpHeader.RETRY_AFTER, retryAfter.toSeconds());
        }
        if (status == 405) {
            response.getHeaders().put(HttpHeader.ALLOW, "GET, HEAD, PUT, DELETE");
        }
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, "text/plain; charset=utf-8");
        try {
            Content.Sink.write(response, true, StandardCharsets.UTF_8.encode(message + "\n"));
            takeRest(request);
            callback.succeeded();
        } catch (IOException e) {
            callback.failed(e);
        }
    }

    /**
     * A client that is answered before it has sent all sends on, and TCP takes the answer back if the connection is closed with
     * that unread. A client that asked first doesn't send; one that sends very much more has to live with it.
     */
    private static void takeRest(Request request) throws IOException {
        if (request.getHeaders().contains(HttpHeader.EXPECT)) {
            return;
        }
        EndPoint client = request.getConnectionMetaData().getConnection().getEndPoint();
        long idle = client.getIdleTimeout();
        client.setIdleTimeout(Math.min(idle, TAKEN_IDLE.toMillis()));
        InputStream rest = Request.asInputStream(request);
        byte[] buffer = new byte[TAKEN_AT_ONCE];
        int read = rest.read(buffer);
        for (int taken = 0; read >= 0 && taken < TAKEN_BYTES_MAX; taken += read) {
            read = rest.read(buffer);
        }
        client.setIdleTimeout(idle);
    }
}
