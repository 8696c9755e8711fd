"""Keys of rows that belong to a tenant."""

from __future__ import annotations


def row_key(tenant_id: str, row_id: str) -> bytes:
    """`tenant/id`, with the tenant's own slashes escaped: `a/b` + `c` must not overwrite `a` + `b/c`."""
    if "/" in tenant_id or "%" in tenant_id:
        tenant_id = tenant_id.replace("%", "%25").replace("/", "%2F")
    return f"{tenant_id}/{row_id}".encode()


def parse_row_key(key: bytes) -> tuple[str, str]:
    """Tenant and id of a row's key."""
    tenant_id, _, row_id = key.decode().partition("/")
    return tenant_id.replace("%2F", "/").replace("%25", "%"), row_id
