# A dial plan is TOML, which schemathesis does not know: it is sent as the text it is.
import schemathesis


@schemathesis.serializer("application/toml")
def toml(ctx, value):
    return value.encode() if isinstance(value, str) else str(value).encode()
