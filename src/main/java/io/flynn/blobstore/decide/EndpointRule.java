package io.flynn.blobstore.decide;

import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which endpoints a custom resource may name. Whoever writes one chooses an address that pods with the workload's network
 * dial, so an endpoint is scheme, host and port and nothing more, and never the machine itself or the link it is on, where
 * clouds hand out credentials (169.254.169.254). Names are allowed: the pod resolves them in its own namespace.
 *
 * <p>Stricter than the URL syntax: what different programs read differently (octal numbers, short addresses, escapes, full-width
 * digits) is refused altogether.
 */
public final class EndpointRule {

    private static final Pattern SHAPE =
            Pattern.compile("(https?)://(\\[[0-9A-Fa-f:.]+]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?");
    private static final Pattern LABEL = Pattern.compile("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?");
    private static final Pattern NUMBER = Pattern.compile("[0-9]+|0[xX][0-9A-Fa-f]*");
    private static final Pattern DOTTED_QUAD = Pattern.compile("(0|[1-9][0-9]{0,2})(\\.(0|[1-9][0-9]{0,2})){3}");

    private static final int PORT_MAX = 65_535;
    private static final int NAME_LENGTH_MAX = 253;

    /** Names that mean this machine wherever they are resolved (RFC 6761, and what /etc/hosts has by habit). */
    private static final List<String> LOOPBACK_NAMES =
            List.of("localhost", "localdomain", "ip6-localhost", "ip6-loopback", "loopback");

    /** Names of the clouds' metadata services, which lie at link-local addresses. */
    private static final List<String> METADATA_NAMES = List.of(
            "metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal");

    /** Metadata services that don't lie at a link-local address: AWS over IPv6, Alibaba, Oracle. */
    private static final List<String> METADATA_ADDRESSES =
            List.of("fd000ec2000000000000000000000254", "646464c8", "c00000c0");

    /** As whoever installed the operator says it. */
    private static final String ALLOWING =
            "allowInsecureEndpoints=true in the chart, BLOBSTORE_ALLOW_INSECURE_ENDPOINTS=true in its environment";

    private EndpointRule() {}

    /**
     * @param endpoint as the custom resource has it; not empty
     * @param insecureAllowed the operator's setting: also http, and also this machine
     * @return what is wrong and what to write instead, or empty if nothing is
     */
    public static Optional<String> problem(String endpoint, boolean insecureAllowed) {
        Matcher url = SHAPE.matcher(endpoint);
        if (!url.matches()) {
            // Not repeated: it may hold a password.
            return Optional.of(
                    "is not scheme, host and port alone: write https://host or https://host:port, without user, path, query or fragment");
        }
        if (url.group(1).equals("http") && !insecureAllowed) {
            return Optional.of(
                    "\"%s\" is http: write https://, or let the operator allow it (%s)".formatted(endpoint, ALLOWING));
        }
        if (url.group(3) != null && !isPort(url.group(3))) {
            return Optional.of("\"%s\" has a port that is not 1 to 65535".formatted(endpoint));
        }
        return host(url.group(2), insecureAllowed).map(problem -> "\"%s\" %s".formatted(endpoint, problem));
    }

    private static boolean isPort(String digits) {
        int port = Integer.parseInt(digits);
        return port >= 1 && port <= PORT_MAX;
    }

    private static Optional<String> host(String host, boolean loopbackAllowed) {
        if (host.startsWith("[")) {
            return literal(host.substring(1, host.length() - 1), loopbackAllowed);
        }
        // A trailing dot ends a name that is not to be completed: the same host.
        String name = (host.endsWith(".") ? host.substring(0, host.length() - 1) : host).toLowerCase(Locale.ROOT);
        String[] labels = name.split("\\.", -1);
        if (name.length() > NAME_LENGTH_MAX
                || !Arrays.stream(labels).allMatch(label -> LABEL.matcher(label).matches())) {
            return Optional.of("has no valid host name: write labels of letters, digits and inner hyphens");
        }
        if (NUMBER.matcher(labels[labels.length - 1]).matches()) {
            return DOTTED_QUAD.matcher(name).matches()
                    ? literal(name, loopbackAllowed)
                    : Optional.of("has an address in an ambiguous form: write four decimal numbers, as 192.0.2.1");
        }
        if (METADATA_NAMES.contains(name)) {
            return Optional.of("is a metadata service, which is never a store: write the store's host name");
        }
        if (!Character.isLetter(labels[labels.length - 1].charAt(0))) {
            return Optional.of("has a host name whose last label begins with a digit, which no domain does");
        }
        boolean loopback = LOOPBACK_NAMES.contains(labels[labels.length - 1]);
        return loopback && !loopbackAllowed ? Optional.of(LOOPBACK) : Optional.empty();
    }

    private static final String LOOPBACK =
            "is the pod itself: write the store's host name, or let the operator allow it (" + ALLOWING + ")";

    private static Optional<String> literal(String text, boolean loopbackAllowed) {
        InetAddress address;
        try {
            // Never asks a name service.
            address = unwrapped(InetAddress.ofLiteral(text));
        } catch (IllegalArgumentException e) {
            return Optional.of("has no valid address");
        }
        if (address.isLinkLocalAddress()
                || METADATA_ADDRESSES.contains(HexFormat.of().formatHex(address.getAddress()))) {
            return Optional.of(
                    "is a link-local or metadata address, which is never a store: write the store's host name");
        }
        if (address.isMulticastAddress() || isBroadcast(address)) {
            return Optional.of("is no host's address: write the store's host name");
        }
        boolean loopback = address.isLoopbackAddress() || isThisHost(address);
        return loopback && !loopbackAllowed ? Optional.of(LOOPBACK) : Optional.empty();
    }

    /** 0.0.0.0/8 and ::, which systems connect to themselves. */
    private static boolean isThisHost(InetAddress address) {
        return address.isAnyLocalAddress() || (address instanceof Inet4Address && address.getAddress()[0] == 0);
    }

    private static boolean isBroadcast(InetAddress address) {
        return address instanceof Inet4Address && (address.getAddress()[0] & 0xF0) == 0xF0;
    }

    /** The IPv4 address that an IPv6 one stands for: mapped and compatible (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056). */
    private static InetAddress unwrapped(InetAddress address) {
        if (!(address instanceof Inet6Address)) {
            return address;
        }
        String hex = HexFormat.of().formatHex(address.getAddress());
        boolean self = hex.matches("0{31}[01]");
        if (hex.startsWith("0064ff9b0000000000000000") || (hex.startsWith("000000000000000000000000") && !self)) {
            return v4(address, 12);
        }
        if (hex.startsWith("2002")) {
            return v4(address, 2);
        }
        return address;
    }

    private static InetAddress v4(InetAddress address, int from) {
        byte[] bytes = address.getAddress();
        return InetAddress.ofLiteral("%d.%d.%d.%d"
                .formatted(bytes[from] & 0xFF, bytes[from + 1] & 0xFF, bytes[from + 2] & 0xFF, bytes[from + 3] & 0xFF));
    }
}
