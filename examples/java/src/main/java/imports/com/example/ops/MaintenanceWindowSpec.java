package imports.com.example.ops;

/**
 */
@javax.annotation.Generated(value = "jsii-pacmak/1.140.0 (build 79fd58c)", date = "2026-11-22T08:31:10.614Z")
@software.amazon.jsii.Jsii(module = imports.com.example.ops.$Module.class, fqn = "comexampleops.MaintenanceWindowSpec")
@software.amazon.jsii.Jsii.Proxy(MaintenanceWindowSpec.Jsii$Proxy.class)
public interface MaintenanceWindowSpec extends software.amazon.jsii.JsiiSerializable {

    /**
     * How long it stays open, for example 2h.
     */
    @org.jetbrains.annotations.NotNull java.lang.String getDuration();

    /**
     * When the window opens, as five cron fields.
     */
    @org.jetbrains.annotations.NotNull java.lang.String getSchedule();

    /**
     * Name in the IANA time zone database.
     */
    default @org.jetbrains.annotations.Nullable java.lang.String getTimeZone() {
        return null;
    }

    /**
     * @return a {@link Builder} of {@link MaintenanceWindowSpec}
     */
    static Builder builder() {
        return new Builder();
    }
    /**
     * A builder for {@link MaintenanceWindowSpec}
     */
    public static final class Builder implements software.amazon.jsii.Builder<MaintenanceWindowSpec> {
        java.lang.String duration;
        java.lang.String schedule;
        java.lang.String timeZone;

        /**
         * Sets the value of {@link MaintenanceWindowSpec#getDuration}
         * @param duration How long it stays open, for example 2h. This parameter is required.
         * @return {@code this}
         */
        public Builder duration(java.lang.String duration) {
            this.duration = duration;
            return this;
        }

        /**
         * Sets the value of {@link MaintenanceWindowSpec#getSchedule}
         * @param schedule When the window opens, as five cron fields. This parameter is required.
         * @return {@code this}
         */
        public Builder schedule(java.lang.String schedule) {
            this.schedule = schedule;
            return this;
        }

        /**
         * Sets the value of {@link MaintenanceWindowSpec#getTimeZone}
         * @param timeZone Name in the IANA time zone database.
         * @return {@code this}
         */
        public Builder timeZone(java.lang.String timeZone) {
            this.timeZone = timeZone;
            return this;
        }

        /**
         * Builds the configured instance.
         * @return a new instance of {@link MaintenanceWindowSpec}
         * @throws NullPointerException if any required attribute was not provided
         */
        @Override
        public MaintenanceWindowSpec build() {
            return new Jsii$Proxy(this);
        }
    }

    /**
     * An implementation for {@link MaintenanceWindowSpec}
     */
    @software.amazon.jsii.Internal
    final class Jsii$Proxy extends software.amazon.jsii.JsiiObject implements MaintenanceWindowSpec {
        private final java.lang.String duration;
        private final java.lang.String schedule;
        private final java.lang.String timeZone;

        /**
         * Constructor that initializes the object based on values retrieved from the JsiiObject.
         * @param objRef Reference to the JSII managed object.
         */
        protected Jsii$Proxy(final software.amazon.jsii.JsiiObjectRef objRef) {
            super(objRef);
            this.duration = software.amazon.jsii.Kernel.get(this, "duration", software.amazon.jsii.NativeType.forClass(java.lang.String.class));
            this.schedule = software.amazon.jsii.Kernel.get(this, "schedule", software.amazon.jsii.NativeType.forClass(java.lang.String.class));
            this.timeZone = software.amazon.jsii.Kernel.get(this, "timeZone", software.amazon.jsii.NativeType.forClass(java.lang.String.class));
        }

        /**
         * Constructor that initializes the object based on literal property values passed by the {@link Builder}.
         */
        protected Jsii$Proxy(final Builder builder) {
            super(software.amazon.jsii.JsiiObject.InitializationMode.JSII);
            this.duration = java.util.Objects.requireNonNull(builder.duration, "duration is required");
            this.schedule = java.util.Objects.requireNonNull(builder.schedule, "schedule is required");
            this.timeZone = builder.timeZone;
        }

        @Override
        public final java.lang.String getDuration() {
            return this.duration;
        }

        @Override
        public final java.lang.String getSchedule() {
            return this.schedule;
        }

        @Override
        public final java.lang.String getTimeZone() {
            return this.timeZone;
        }

        @Override
        @software.amazon.jsii.Internal
        public com.fasterxml.jackson.databind.JsonNode $jsii$toJson() {
            final com.fasterxml.jackson.databind.ObjectMapper om = software.amazon.jsii.JsiiObjectMapper.INSTANCE;
            final com.fasterxml.jackson.databind.node.ObjectNode data = com.fasterxml.jackson.databind.node.JsonNodeFactory.instance.objectNode();

            data.set("duration", om.valueToTree(this.getDuration()));
            data.set("schedule", om.valueToTree(this.getSchedule()));
            if (this.getTimeZone() != null) {
                data.set("timeZone", om.valueToTree(this.getTimeZone()));
            }

            final com.fasterxml.jackson.databind.node.ObjectNode struct = com.fasterxml.jackson.databind.node.JsonNodeFactory.instance.objectNode();
            struct.set("fqn", om.valueToTree("comexampleops.MaintenanceWindowSpec"));
            struct.set("data", data);

            final com.fasterxml.jackson.databind.node.ObjectNode obj = com.fasterxml.jackson.databind.node.JsonNodeFactory.instance.objectNode();
            obj.set("$jsii.struct", struct);

            return obj;
        }

        @Override
        public final boolean equals(final java.lang.Object o) {
            if (this == o) return true;
            if (o == null || getClass() != o.getClass()) return false;

            MaintenanceWindowSpec.Jsii$Proxy that = (MaintenanceWindowSpec.Jsii$Proxy) o;

            if (!duration.equals(that.duration)) return false;
            if (!schedule.equals(that.schedule)) return false;
            return this.timeZone != null ? this.timeZone.equals(that.timeZone) : that.timeZone == null;
        }

        @Override
        public final int hashCode() {
            int result = this.duration.hashCode();
            result = 31 * result + (this.schedule.hashCode());
            result = 31 * result + (this.timeZone != null ? this.timeZone.hashCode() : 0);
            return result;
        }
    }
}
