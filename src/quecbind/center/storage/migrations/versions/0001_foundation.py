"""Products, devices, user domains, users, owners, keys and the audit log.

Times are UTC milliseconds. Columns of type BLOB that hold a secret are sealed; `..._mac` columns are keyed hashes.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The owners table carries the rules that must hold whatever the code above it does:
# - its bind mode is the product's, which therefore cannot change while anyone owns a device (5410);
# - single and alternate mode: one owner for each device and user domain;
# - its epoch is the device's, which therefore cannot grow while anyone still owns it.
TABLES = (
    """
    CREATE TABLE vault (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sealed_check BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE domains (
        number INTEGER PRIMARY KEY,
        user_domain TEXT NOT NULL UNIQUE,
        user_domain_secret BLOB NOT NULL,
        name TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        disabled_at INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE products (
        product_key TEXT PRIMARY KEY,
        product_secret BLOB NOT NULL,
        name TEXT NOT NULL,
        bind_mode TEXT NOT NULL CHECK (bind_mode IN ('multi', 'single', 'alternate')),
        re_enrol TEXT NOT NULL CHECK (re_enrol IN ('approve', 'open', 'locked')),
        device_limit INTEGER NOT NULL CHECK (device_limit >= 0),
        device_count INTEGER NOT NULL DEFAULT 0 CHECK (device_count >= 0),
        default_window_s INTEGER NOT NULL CHECK (default_window_s BETWEEN 1 AND 4294967295),
        allow_device_key_binding INTEGER NOT NULL CHECK (allow_device_key_binding IN (0, 1)),
        static_secrets INTEGER NOT NULL CHECK (static_secrets IN (0, 1)),
        dynamic_enrolment INTEGER NOT NULL CHECK (dynamic_enrolment IN (0, 1)),
        replay_strict INTEGER NOT NULL CHECK (replay_strict IN (0, 1)),
        domain_access TEXT NOT NULL CHECK (domain_access IN ('all', 'listed')),
        created_at INTEGER NOT NULL,
        UNIQUE (product_key, bind_mode)
    ) STRICT
    """,
    """
    CREATE TABLE product_domains (
        product_key TEXT NOT NULL REFERENCES products (product_key) ON DELETE CASCADE,
        user_domain TEXT NOT NULL REFERENCES domains (user_domain) ON DELETE CASCADE,
        PRIMARY KEY (product_key, user_domain)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE users (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        uid TEXT GENERATED ALWAYS AS ('C' || number) STORED UNIQUE,
        user_domain TEXT NOT NULL REFERENCES domains (user_domain),
        email TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        nickname TEXT NOT NULL,
        lang TEXT NOT NULL,
        timezone TEXT NOT NULL,
        nationality TEXT NOT NULL,
        registered_at INTEGER NOT NULL,
        last_login_at INTEGER,
        disabled_at INTEGER,
        UNIQUE (user_domain, email),
        UNIQUE (uid, user_domain)
    ) STRICT
    """,
    """
    CREATE TABLE email_codes (
        user_domain TEXT NOT NULL,
        email TEXT NOT NULL,
        email_type INTEGER NOT NULL,
        code_mac BLOB NOT NULL,
        expires_at INTEGER NOT NULL,
        wrong_count INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (user_domain, email, email_type)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        uid TEXT NOT NULL REFERENCES users (uid) ON DELETE CASCADE,
        refresh_mac BLOB NOT NULL,
        rotation INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        ended_at INTEGER,
        peer TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX sessions_by_user ON sessions (uid)",
    "CREATE INDEX sessions_by_end ON sessions (expires_at)",
    """
    CREATE TABLE devices (
        id INTEGER PRIMARY KEY,
        product_key TEXT NOT NULL REFERENCES products (product_key),
        device_key TEXT NOT NULL,
        client_id TEXT GENERATED ALWAYS AS ('qd' || product_key || device_key) STORED UNIQUE,
        device_secret BLOB NOT NULL,
        is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
        disabled_at INTEGER,
        epoch INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        approved_until INTEGER,
        bind_code_mac BLOB,
        bind_window_end INTEGER,
        bind_secret BLOB,
        auth_key BLOB,
        last_online_at INTEGER,
        last_offline_at INTEGER,
        last_address TEXT,
        status TEXT NOT NULL DEFAULT '{}',
        info TEXT NOT NULL DEFAULT '{}',
        recent_randoms BLOB NOT NULL DEFAULT x'',
        created_at INTEGER NOT NULL,
        issued_at INTEGER NOT NULL,
        UNIQUE (id, product_key, epoch),
        CHECK ((bind_code_mac IS NULL) = (bind_window_end IS NULL))
    ) STRICT
    """,
    "CREATE INDEX devices_by_product ON devices (product_key, device_key)",
    """
    CREATE TABLE owners (
        device_id INTEGER NOT NULL,
        product_key TEXT NOT NULL,
        bind_mode TEXT NOT NULL,
        uid TEXT NOT NULL,
        user_domain TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        device_name TEXT NOT NULL,
        capabilities INTEGER NOT NULL,
        binding_type INTEGER NOT NULL,
        bound_at INTEGER NOT NULL,
        PRIMARY KEY (device_id, uid),
        FOREIGN KEY (device_id, product_key, epoch) REFERENCES devices (id, product_key, epoch),
        FOREIGN KEY (product_key, bind_mode) REFERENCES products (product_key, bind_mode),
        FOREIGN KEY (uid, user_domain) REFERENCES users (uid, user_domain)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE UNIQUE INDEX one_owner_per_domain ON owners (device_id, user_domain)
        WHERE bind_mode IN ('single', 'alternate')
    """,
    "CREATE INDEX owners_by_user ON owners (uid, bound_at)",
    "CREATE INDEX owners_by_product ON owners (product_key, bind_mode)",
    "CREATE INDEX owners_by_device ON owners (device_id, product_key, epoch)",
    """
    CREATE TABLE access_keys (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        key_mac BLOB NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        revoked_at INTEGER
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE signing_keys (
        kid TEXT PRIMARY KEY,
        private_key BLOB NOT NULL,
        public_key TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        result TEXT NOT NULL,
        product_key TEXT,
        device_key TEXT,
        peer TEXT NOT NULL,
        details TEXT NOT NULL,
        hash BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX audit_by_device ON audit (product_key, device_key)",
    """
    CREATE TABLE audit_head (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        mac BLOB NOT NULL
    ) STRICT
    """,
    # The first user is C10001, so that a uid never looks like a row number.
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('users', 10000)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in TABLES:
        op.execute(statement)
