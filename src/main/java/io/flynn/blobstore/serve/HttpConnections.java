package io.flynn.blobstore.serve;

import org.eclipse.jetty.http.HttpVersion;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.internal.HttpConnection;

/**
 * HTTP/1.1 connections that also take paths which lead above the root, such as {@code /../a}: the deployed servers clean them,
 * Jetty refuses them before anybody is asked.
 */
final class HttpConnections extends HttpConnectionFactory {

    HttpConnections(HttpConfiguration http) {
        super(http);
    }

    @Override
    public Connection newConnection(Connector connector, EndPoint endPoint) {
        HttpConnection connection = new HttpConnection(getHttpConfiguration(), connector, endPoint) {
            @Override
            protected HttpStreamOverHTTP1 newHttpStream(String method, String target, HttpVersion version) {
                try {
                    return super.newHttpStream(method, target, version);
                } catch (IllegalArgumentException e) {
                    return super.newHttpStream(method, cleaned(target, e), version);
                }
            }
        };
        return configure(connection, connector, endPoint);
    }

    private static String cleaned(String target, IllegalArgumentException otherwise) {
        try {
            return RequestTarget.cleaned(target);
        } catch (Refusal e) {
            throw otherwise;
        }
    }
}
