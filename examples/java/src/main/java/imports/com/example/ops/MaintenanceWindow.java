package imports.com.example.ops;

/**
 * The hours in which the workloads of a namespace may be restarted.
 */
@javax.annotation.Generated(value = "jsii-pacmak/1.140.0 (build 79fd58c)", date = "2026-11-22T08:31:10.604Z")
@software.amazon.jsii.Jsii(module = imports.com.example.ops.$Module.class, fqn = "comexampleops.MaintenanceWindow")
public class MaintenanceWindow extends org.cdk8s.ApiObject {

    protected MaintenanceWindow(final software.amazon.jsii.JsiiObjectRef objRef) {
        super(objRef);
    }

    protected MaintenanceWindow(final software.amazon.jsii.JsiiObject.InitializationMode initializationMode) {
        super(initializationMode);
    }

    static {
        GVK = software.amazon.jsii.JsiiObject.jsiiStaticGet(imports.com.example.ops.MaintenanceWindow.class, "GVK", software.amazon.jsii.NativeType.forClass(org.cdk8s.GroupVersionKind.class));
    }

    /**
     * Defines a "MaintenanceWindow" API object.
     * <p>
     * @param scope the scope in which to define this object. This parameter is required.
     * @param id a scope-local name for the object. This parameter is required.
     * @param props initialization props. This parameter is required.
     */
    public MaintenanceWindow(final @org.jetbrains.annotations.NotNull software.constructs.Construct scope, final @org.jetbrains.annotations.NotNull java.lang.String id, final @org.jetbrains.annotations.NotNull imports.com.example.ops.MaintenanceWindowProps props) {
        super(software.amazon.jsii.JsiiObject.InitializationMode.JSII);
        software.amazon.jsii.JsiiEngine.getInstance().createNewObject(this, new Object[] { java.util.Objects.requireNonNull(scope, "scope is required"), java.util.Objects.requireNonNull(id, "id is required"), java.util.Objects.requireNonNull(props, "props is required") });
    }

    /**
     * Renders a Kubernetes manifest for "MaintenanceWindow".
     * <p>
     * This can be used to inline resource manifests inside other objects (e.g. as templates).
     * <p>
     * @param props initialization props. This parameter is required.
     */
    public static @org.jetbrains.annotations.NotNull java.lang.Object manifest(final @org.jetbrains.annotations.NotNull imports.com.example.ops.MaintenanceWindowProps props) {
        return software.amazon.jsii.JsiiObject.jsiiStaticCall(imports.com.example.ops.MaintenanceWindow.class, "manifest", software.amazon.jsii.NativeType.forClass(java.lang.Object.class), new Object[] { java.util.Objects.requireNonNull(props, "props is required") });
    }

    /**
     * Renders the object to Kubernetes JSON.
     */
    @Override
    public @org.jetbrains.annotations.NotNull java.lang.Object toJson() {
        return software.amazon.jsii.Kernel.call(this, "toJson", software.amazon.jsii.NativeType.forClass(java.lang.Object.class));
    }

    /**
     * Returns the apiVersion and kind for "MaintenanceWindow".
     */
    public final static org.cdk8s.GroupVersionKind GVK;

    /**
     * A fluent builder for {@link imports.com.example.ops.MaintenanceWindow}.
     */
    public static final class Builder implements software.amazon.jsii.Builder<imports.com.example.ops.MaintenanceWindow> {
        /**
         * @return a new instance of {@link Builder}.
         * @param scope the scope in which to define this object. This parameter is required.
         * @param id a scope-local name for the object. This parameter is required.
         */
        public static Builder create(final software.constructs.Construct scope, final java.lang.String id) {
            return new Builder(scope, id);
        }

        private final software.constructs.Construct scope;
        private final java.lang.String id;
        private final imports.com.example.ops.MaintenanceWindowProps.Builder props;

        private Builder(final software.constructs.Construct scope, final java.lang.String id) {
            this.scope = scope;
            this.id = id;
            this.props = new imports.com.example.ops.MaintenanceWindowProps.Builder();
        }

        /**
         * @return {@code this}
         * @param spec This parameter is required.
         */
        public Builder spec(final imports.com.example.ops.MaintenanceWindowSpec spec) {
            this.props.spec(spec);
            return this;
        }

        /**
         * @return {@code this}
         * @param metadata This parameter is required.
         */
        public Builder metadata(final org.cdk8s.ApiObjectMetadata metadata) {
            this.props.metadata(metadata);
            return this;
        }

        /**
         * @return a newly built instance of {@link imports.com.example.ops.MaintenanceWindow}.
         */
        @Override
        public imports.com.example.ops.MaintenanceWindow build() {
            return new imports.com.example.ops.MaintenanceWindow(
                this.scope,
                this.id,
                this.props.build()
            );
        }
    }
}
