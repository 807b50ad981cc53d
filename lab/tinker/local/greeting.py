"""What the SDK and the `tinker` program ask first: the flags, whose key it is, whether anybody is there."""

from __future__ import annotations

from lab.tinker.local.calls import Call, Reply, answer

# A faithful server may set these; what is not said stands at the SDK's own default.
FLAGS = {
    "use_pyqwest_transport": False,  # it speaks HTTP/2 where it can; plain HTTP/1.1 is what is here
    "proto_compress_fwdbwd": False,  # compressing for the same machine only costs time
    "pjwt_auth_enabled": False,
    "custom_loss_server_side": False,
    "sample_join_sampling_session": False,
    "sample_use_retrieve_futures": False,
}
KEY_PREFIX = "tml-"


def health(_call: Call) -> Reply:
    return answer(status="ok")


def flags(_call: Call) -> Reply:
    return answer(**FLAGS)


def later_flags(_call: Call) -> Reply:
    return answer(sample_cancel_enabled=True)


def telemetry(_call: Call) -> Reply:
    """Thrown away."""
    return answer(status="accepted")


def whose_key(_call: Call) -> Reply:
    details = {"org_details": {"name": "local"}, "user_details": {"email": "nobody@localhost"}}
    return answer(key_id=0, name="local", note="any key that starts with tml- is one here", details=details)


def forget_key(_call: Call) -> Reply:
    """There is nothing to revoke."""
    return answer()
