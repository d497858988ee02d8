package io.flynn.blobstore.testkit.cluster;

/** A container that can't start now: becomes its waiting state, with the reason and message that the kubelet gives. */
final class ContainerWaits extends Exception {

    private static final long serialVersionUID = 1;

    private final String reason;

    private ContainerWaits(String reason, String message) {
        super(message);
        this.reason = reason;
    }

    /** Something that its configuration refers to is missing. */
    static ContainerWaits configuration(String message) {
        return new ContainerWaits("CreateContainerConfigError", message);
    }

    static ContainerWaits image(String image) {
        return new ContainerWaits("ImagePullBackOff", "Back-off pulling image \"%s\"".formatted(image));
    }

    /** Kubernetes could run it, LocalNode can't. */
    static ContainerWaits notImplemented(String what) {
        return new ContainerWaits("CreateContainerError", "LocalNode does not implement " + what);
    }

    /** It could not be started at all. */
    static ContainerWaits start(String message) {
        return new ContainerWaits("RunContainerError", message);
    }

    String reason() {
        return reason;
    }
}
