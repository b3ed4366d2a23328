-- One statement per step, in order, never changed once released: a store
-- remembers how many it has had. {{id}} is the dialect's integer primary key,
-- {{clustered}} what keeps a table in the order of its primary key, and {{some}}
-- some contacts at a time where all of them at once would hold up a server.

CREATE TABLE IF NOT EXISTS sequences (
  name VARCHAR(32) NOT NULL PRIMARY KEY,
  next_id BIGINT NOT NULL
) {{clustered}};

CREATE TABLE IF NOT EXISTS contacts (
  subscriber_id {{id}},
  newest SMALLINT,
  address_key VARBINARY(32) NOT NULL,
  mobile_key VARBINARY(32),
  permission SMALLINT NOT NULL,
  frozen SMALLINT NOT NULL DEFAULT 0,
  email_masked VARCHAR(320) NOT NULL DEFAULT '',
  mobile_masked VARCHAR(24) NOT NULL DEFAULT '',
  source VARCHAR(64),
  rating SMALLINT NOT NULL DEFAULT 0,
  opens BIGINT NOT NULL DEFAULT 0,
  clicks BIGINT NOT NULL DEFAULT 0,
  updates BIGINT NOT NULL DEFAULT 0,
  signed_up_at BIGINT NOT NULL DEFAULT 0,
  confirmed_at BIGINT NOT NULL DEFAULT 0,
  withdrawn_at BIGINT NOT NULL DEFAULT 0,
  deleted_at BIGINT NOT NULL DEFAULT 0,
  forget_at BIGINT NOT NULL DEFAULT 0,
  last_seen_at BIGINT NOT NULL,
  predecessor BIGINT NOT NULL DEFAULT 0,
  successor BIGINT NOT NULL DEFAULT 0,
  acts BIGINT NOT NULL DEFAULT 0,
  score DOUBLE NOT NULL DEFAULT 0,
  scored_at BIGINT NOT NULL DEFAULT 0,
  rate_at BIGINT NOT NULL DEFAULT 0,
  version BIGINT NOT NULL,
  sealed MEDIUMBLOB
);

CREATE UNIQUE INDEX contacts_address ON contacts (address_key, newest);

CREATE INDEX contacts_mobile ON contacts (mobile_key);

CREATE INDEX contacts_permission ON contacts (permission, last_seen_at, subscriber_id);

CREATE INDEX contacts_source ON contacts (source, permission, last_seen_at, subscriber_id);

CREATE INDEX contacts_rating ON contacts (rating, permission, last_seen_at, subscriber_id);

CREATE INDEX contacts_permission_id ON contacts (permission, subscriber_id);

CREATE INDEX contacts_source_id ON contacts (source, permission, subscriber_id);

CREATE INDEX contacts_rating_id ON contacts (rating, permission, subscriber_id);

CREATE INDEX contacts_rate ON contacts (rate_at);

CREATE TABLE IF NOT EXISTS lists (
  list_id {{id}},
  name VARCHAR(120) NOT NULL,
  slug VARCHAR(64) NOT NULL,
  created_at BIGINT NOT NULL,
  from_name VARCHAR(200) NOT NULL DEFAULT '',
  from_address VARCHAR(320) NOT NULL DEFAULT ''
);

CREATE UNIQUE INDEX lists_name ON lists (name);

CREATE UNIQUE INDEX lists_slug ON lists (slug);

CREATE TABLE IF NOT EXISTS memberships (
  subscriber_id BIGINT NOT NULL,
  list_id BIGINT NOT NULL,
  status SMALLINT NOT NULL,
  since BIGINT NOT NULL,
  left_at BIGINT NOT NULL DEFAULT 0,
  last_seen_at BIGINT NOT NULL,
  PRIMARY KEY (subscriber_id, list_id)
) {{clustered}};

CREATE INDEX memberships_status ON memberships (list_id, status, last_seen_at, subscriber_id);

CREATE INDEX memberships_status_id ON memberships (list_id, status, subscriber_id);

CREATE TABLE IF NOT EXISTS notices (
  notice_id VARBINARY(32) NOT NULL PRIMARY KEY,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS evidence (
  subscriber_id BIGINT NOT NULL,
  n BIGINT NOT NULL,
  kind SMALLINT NOT NULL,
  at BIGINT NOT NULL,
  sealed BLOB,
  batch_id BIGINT NOT NULL,
  place BIGINT NOT NULL,
  PRIMARY KEY (subscriber_id, n)
) {{clustered}};

CREATE TABLE IF NOT EXISTS audit (
  audit_id {{id}},
  at BIGINT NOT NULL,
  actor VARCHAR(64) NOT NULL,
  role VARCHAR(16) NOT NULL,
  door VARCHAR(64) NOT NULL,
  act VARCHAR(32) NOT NULL,
  subscriber_id BIGINT NOT NULL DEFAULT 0,
  why TEXT NOT NULL,
  dropped BIGINT NOT NULL DEFAULT 0,
  salt VARBINARY(32) NOT NULL,
  batch_id BIGINT NOT NULL,
  place BIGINT NOT NULL
);

CREATE INDEX audit_time ON audit (at, audit_id);

CREATE INDEX audit_contact ON audit (subscriber_id, at, audit_id);

CREATE INDEX audit_actor ON audit (actor, at, audit_id);

CREATE INDEX audit_act ON audit (act, at, audit_id);

CREATE TABLE IF NOT EXISTS batches (
  batch_id {{id}},
  leaves MEDIUMBLOB NOT NULL,
  mac VARBINARY(16) NOT NULL
);

CREATE TABLE IF NOT EXISTS unplaced (
  batch_id {{id}}
);

CREATE TABLE IF NOT EXISTS placed (
  first_leaf {{id}},
  batch_id BIGINT NOT NULL,
  n BIGINT NOT NULL,
  mac VARBINARY(16) NOT NULL
);

CREATE UNIQUE INDEX placed_batch ON placed (batch_id);

CREATE TABLE IF NOT EXISTS subtrees (
  level SMALLINT NOT NULL,
  number BIGINT NOT NULL,
  hashes BLOB NOT NULL,
  PRIMARY KEY (level, number)
) {{clustered}};

CREATE TABLE IF NOT EXISTS log_head (
  one {{id}},
  size BIGINT NOT NULL,
  frontier BLOB NOT NULL,
  mac VARBINARY(16) NOT NULL,
  owner VARCHAR(32) NOT NULL,
  until BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS checkpoints (
  size {{id}},
  note VARCHAR(600) NOT NULL
);

CREATE TABLE IF NOT EXISTS staff (
  staff_id {{id}},
  name VARCHAR(64) NOT NULL,
  role VARCHAR(16) NOT NULL,
  enabled SMALLINT NOT NULL,
  created_at BIGINT NOT NULL,
  version BIGINT NOT NULL
);

CREATE UNIQUE INDEX staff_name ON staff (name);

CREATE TABLE IF NOT EXISTS staff_keys (
  fingerprint VARCHAR(64) NOT NULL PRIMARY KEY,
  staff_id BIGINT NOT NULL,
  line TEXT NOT NULL,
  added_at BIGINT NOT NULL,
  removed_at BIGINT NOT NULL DEFAULT 0
) {{clustered}};

CREATE INDEX staff_keys_staff ON staff_keys (staff_id);

CREATE TABLE IF NOT EXISTS requests (
  request_id {{id}},
  kind VARCHAR(16) NOT NULL,
  state SMALLINT NOT NULL,
  subscriber_id BIGINT NOT NULL DEFAULT 0,
  received_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  closed_at BIGINT NOT NULL DEFAULT 0,
  made_by VARCHAR(64) NOT NULL,
  closed_by VARCHAR(64) NOT NULL DEFAULT '',
  note VARCHAR(1000) NOT NULL DEFAULT '',
  answer VARCHAR(1000) NOT NULL DEFAULT '',
  version BIGINT NOT NULL
);

CREATE INDEX requests_due ON requests (state, due_at, request_id);

CREATE INDEX requests_contact ON requests (subscriber_id);

CREATE TABLE IF NOT EXISTS exports (
  request_id {{id}},
  staff_id BIGINT NOT NULL,
  os_user VARCHAR(64) NOT NULL,
  list_id BIGINT NOT NULL,
  recipients TEXT NOT NULL,
  file VARCHAR(64) NOT NULL DEFAULT '',
  machine VARCHAR(255) NOT NULL DEFAULT '',
  run BIGINT NOT NULL DEFAULT 0,
  contacts BIGINT NOT NULL DEFAULT 0,
  expires_at BIGINT NOT NULL DEFAULT 0,
  gone_at BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS export_members (
  subscriber_id BIGINT NOT NULL,
  request_id BIGINT NOT NULL,
  PRIMARY KEY (subscriber_id, request_id)
) {{clustered}};

CREATE INDEX export_members_request ON export_members (request_id, subscriber_id);

CREATE TABLE IF NOT EXISTS own_fields (
  name VARCHAR(400) NOT NULL PRIMARY KEY,
  kind VARCHAR(16) NOT NULL,
  hidden SMALLINT NOT NULL
) {{clustered}};

CREATE TABLE IF NOT EXISTS tokens (
  token_hash VARBINARY(32) NOT NULL PRIMARY KEY,
  purpose SMALLINT NOT NULL,
  subscriber_id BIGINT NOT NULL,
  list_id BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT NOT NULL DEFAULT 0,
  sealed BLOB
);

CREATE INDEX tokens_contact ON tokens (subscriber_id);

CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE IF NOT EXISTS outbox (
  letter_id {{id}},
  subscriber_id BIGINT NOT NULL,
  list_id BIGINT NOT NULL DEFAULT 0,
  kind VARCHAR(24) NOT NULL,
  to_masked VARCHAR(320) NOT NULL,
  state SMALLINT NOT NULL,
  due_at BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  tried BIGINT NOT NULL DEFAULT 0,
  owner VARCHAR(32) NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  done_at BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX outbox_due ON outbox (state, due_at, letter_id);

CREATE INDEX outbox_contact ON outbox (subscriber_id);

CREATE TABLE IF NOT EXISTS attempts (
  letter_id BIGINT NOT NULL,
  n BIGINT NOT NULL,
  at BIGINT NOT NULL,
  state SMALLINT NOT NULL,
  code SMALLINT NOT NULL,
  enhanced VARCHAR(12) NOT NULL,
  reply VARCHAR(600) NOT NULL,
  host VARCHAR(255) NOT NULL,
  tls VARCHAR(32) NOT NULL,
  sealed BLOB,
  PRIMARY KEY (letter_id, n)
) {{clustered}};

CREATE TABLE IF NOT EXISTS returned (
  address_key VARBINARY(32) NOT NULL PRIMARY KEY,
  hard_at BIGINT NOT NULL,
  soft BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  status VARCHAR(12) NOT NULL
) {{clustered}};

CREATE INDEX returned_age ON returned (last_at);

CREATE TABLE IF NOT EXISTS alarms (
  kind VARCHAR(24) NOT NULL PRIMARY KEY,
  n BIGINT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  words VARCHAR(600) NOT NULL
) {{clustered}};

CREATE TABLE IF NOT EXISTS bodies (
  letter_id {{id}},
  sealed MEDIUMBLOB NOT NULL
);

CREATE TABLE IF NOT EXISTS mailbox (
  number {{id}},
  address_key VARBINARY(32) NOT NULL,
  at BIGINT NOT NULL,
  to_masked VARCHAR(320) NOT NULL,
  sealed MEDIUMBLOB NOT NULL
);

CREATE INDEX mailbox_address ON mailbox (address_key);

CREATE TABLE IF NOT EXISTS limits (
  limit_key VARBINARY(32) NOT NULL PRIMARY KEY,
  first_at BIGINT NOT NULL,
  second_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL
);

CREATE INDEX limits_age ON limits (last_at);

CREATE TABLE IF NOT EXISTS counters (
  name VARCHAR(96) NOT NULL,
  shard SMALLINT NOT NULL,
  n BIGINT NOT NULL,
  day BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (name, shard)
) {{clustered}};

CREATE TABLE IF NOT EXISTS imports (
  file_key VARBINARY(32) NOT NULL PRIMARY KEY,
  started_at BIGINT NOT NULL,
  line BIGINT NOT NULL
) {{clustered}};

CREATE TABLE IF NOT EXISTS settings (
  name VARCHAR(64) NOT NULL PRIMARY KEY,
  value VARCHAR(600) NOT NULL
) {{clustered}};

CREATE TABLE IF NOT EXISTS days (
  day BIGINT NOT NULL,
  name VARCHAR(96) NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (day, name)
) {{clustered}};

CREATE TABLE IF NOT EXISTS activity (
  subscriber_id BIGINT NOT NULL,
  week BIGINT NOT NULL,
  opens BIGINT NOT NULL,
  clicks BIGINT NOT NULL,
  PRIMARY KEY (subscriber_id, week)
) {{clustered}};

CREATE TABLE IF NOT EXISTS weeks (
  week BIGINT NOT NULL,
  list_id BIGINT NOT NULL,
  opens BIGINT NOT NULL,
  clicks BIGINT NOT NULL,
  updates BIGINT NOT NULL,
  PRIMARY KEY (week, list_id)
) {{clustered}};

CREATE TABLE IF NOT EXISTS applied (
  applied_key VARBINARY(16) NOT NULL PRIMARY KEY
) {{clustered}};

-- Each machine's erasure journal, a file, and how far the store has followed it.
CREATE TABLE IF NOT EXISTS journals (
  journal_id VARBINARY(16) NOT NULL PRIMARY KEY,
  machine VARBINARY(16) NOT NULL,
  n BIGINT NOT NULL,
  chain VARBINARY(32) NOT NULL,
  high BIGINT NOT NULL
) {{clustered}};

-- What each journal holds of its own, for the other machines to copy.
CREATE TABLE IF NOT EXISTS erasures (
  journal_id VARBINARY(16) NOT NULL,
  n BIGINT NOT NULL,
  subscriber_id BIGINT NOT NULL,
  address_key VARBINARY(32) NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (journal_id, n)
) {{clustered}};

CREATE TABLE IF NOT EXISTS erasures_seen (
  journal_id VARBINARY(16) NOT NULL,
  other_id VARBINARY(16) NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (journal_id, other_id)
) {{clustered}};

-- Every filter of a browse is some stretches of one index: memberships carry
-- what is asked for of their card.
ALTER TABLE memberships ADD COLUMN rating SMALLINT NOT NULL DEFAULT 0;

ALTER TABLE memberships ADD COLUMN source VARCHAR(64);

ALTER TABLE memberships ADD COLUMN found_as SMALLINT NOT NULL DEFAULT 0;

DROP INDEX contacts_permission ON contacts;

DROP INDEX contacts_source ON contacts;

DROP INDEX contacts_rating ON contacts;

DROP INDEX contacts_permission_id ON contacts;

DROP INDEX contacts_source_id ON contacts;

DROP INDEX contacts_rating_id ON contacts;

DROP INDEX memberships_status ON memberships;

DROP INDEX memberships_status_id ON memberships;

UPDATE memberships SET rating = COALESCE((SELECT c.rating FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id), 0),
  source = (SELECT c.source FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id),
  found_as = COALESCE((SELECT c.permission FROM contacts c WHERE c.subscriber_id = memberships.subscriber_id AND c.permission = memberships.status), 0)
  WHERE {{some}};

CREATE INDEX contacts_by_seen ON contacts (permission, rating, last_seen_at, subscriber_id);

CREATE INDEX contacts_by_id ON contacts (permission, rating, subscriber_id);

CREATE INDEX contacts_source_by_seen ON contacts (source, permission, rating, last_seen_at, subscriber_id);

CREATE INDEX contacts_source_by_id ON contacts (source, permission, rating, subscriber_id);

CREATE INDEX memberships_by_seen ON memberships (list_id, found_as, rating, last_seen_at, subscriber_id);

CREATE INDEX memberships_by_id ON memberships (list_id, found_as, rating, subscriber_id);

CREATE INDEX memberships_source_by_seen ON memberships (list_id, source, found_as, rating, last_seen_at, subscriber_id);

CREATE INDEX memberships_source_by_id ON memberships (list_id, source, found_as, rating, subscriber_id);

-- What claims took of the outbox. The rows of its letters don't tell of it.
CREATE TABLE IF NOT EXISTS leases (
  lease_id {{id}},
  owner VARCHAR(32) NOT NULL,
  until_at BIGINT NOT NULL,
  letters MEDIUMBLOB NOT NULL
);

ALTER TABLE outbox ADD COLUMN last_lease BIGINT NOT NULL DEFAULT 0;

DROP INDEX outbox_due ON outbox;

CREATE INDEX outbox_by_due ON outbox (state, due_at, letter_id, last_lease);

-- How domains want their mail to come (MTA-STS), for longer than a process lives.
CREATE TABLE IF NOT EXISTS policies (
  domain_key VARBINARY(32) NOT NULL PRIMARY KEY,
  until_at BIGINT NOT NULL,
  policy MEDIUMBLOB NOT NULL
) {{clustered}};

CREATE INDEX policies_age ON policies (until_at);
