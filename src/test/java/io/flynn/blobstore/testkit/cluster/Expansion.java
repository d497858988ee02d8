package io.flynn.blobstore.testkit.cluster;

import java.util.Map;

/** {@code $(VAR)} in arguments and values: unknown ones stay as they are, {@code $$} is a dollar sign. */
final class Expansion {

    private Expansion() {}

    /** Source: {@code third_party/forked/golang/expansion} of Kubernetes. */
    static String expand(String text, Map<String, String> variables) {
        StringBuilder expanded = new StringBuilder();
        int at = 0;
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c != '$' || at + 1 == text.length()) {
                expanded.append(c);
                at++;
                continue;
            }
            int end = text.charAt(at + 1) == '(' ? text.indexOf(')', at) : -1;
            if (text.charAt(at + 1) == '$') {
                expanded.append('$');
                at += 2;
            } else if (end > 0) {
                String reference = text.substring(at, end + 1);
                expanded.append(variables.getOrDefault(reference.substring(2, reference.length() - 1), reference));
                at = end + 1;
            } else {
                expanded.append(c);
                at++;
            }
        }
        return expanded.toString();
    }
}
