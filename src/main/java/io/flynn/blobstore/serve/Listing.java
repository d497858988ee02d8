package io.flynn.blobstore.serve;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.flynn.blobstore.blob.BlobName;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Optional;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;

/** Answers GET of the root: a directory's direct children as a JSON array, written as they are read. */
final class Listing {

    private static final JsonFactory JSON = new JsonFactory();

    private final ServedCatalog catalog;

    Listing(ServedCatalog catalog) {
        this.catalog = catalog;
    }

    void get(Request request, Response response) throws IOException {
        String query = request.getHttpURI().getQuery();
        Optional<BlobName> directory = RequestTarget.directory(query == null ? "" : query);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
        // Not closed after a failure: that would end the array, and a part of it would pass for all of it.
        OutputStream out = Response.asBufferedOutputStream(request, response);
        JsonGenerator json = JSON.createGenerator(out);
        json.writeStartArray();
        if (directory.isPresent()) {
            catalog.list(directory.get(), json::writeString);
        }
        json.writeEndArray();
        json.writeRaw('\n');
        json.close();
    }
}
