-- What providers post to us: stored raw before it is answered, read afterwards.

create table postroad.webhook_inbox (
  inbox_id     bigint generated always as identity,
  received_at  timestamptz not null default clock_timestamp(),
  gateway      text collate "C" not null,
  delivery_key text collate "C" not null,
  replay_key   text collate "C",
  query        text,
  content_type text,
  body         bytea not null,
  constraint webhook_inbox_pkey primary key (inbox_id),
  constraint a_delivery_is_stored_once unique (gateway, delivery_key)
);
comment on table postroad.webhook_inbox is 'Verified requests of providers, as they came: inserted, never updated, deleted past retention.';
comment on column postroad.webhook_inbox.delivery_key is 'The provider''s id of the delivery, or the hash of the body: a repeated delivery is stored once.';
comment on column postroad.webhook_inbox.replay_key is 'A token or signature that is good for one delivery: another one that carries it is forged.';
create unique index webhook_inbox_replay_key on postroad.webhook_inbox (gateway, replay_key) where replay_key is not null;
comment on index postroad.webhook_inbox_replay_key is 'store_webhooks: a captured token is used once, on any node, also after a restart';
create index webhook_inbox_received_at on postroad.webhook_inbox using brin (received_at);
comment on index postroad.webhook_inbox_received_at is 'purge_webhooks, replay_webhooks';

create table postroad.webhook_batches (
  batch_id   bigint generated always as identity,
  created_at timestamptz not null default clock_timestamp(),
  gateway    text collate "C" not null,
  is_replay  boolean not null default false,
  inbox_ids  bigint[] not null,
  constraint webhook_batches_pkey primary key (batch_id)
);
comment on table postroad.webhook_batches is
'Requests in the inbox that wait to be read, a row a batch: inserted with them, deleted in the transaction that records their events.';

create table postroad.webhook_errors (
  inbox_id  bigint not null,
  failed_at timestamptz not null default clock_timestamp(),
  error     text not null,
  constraint webhook_errors_pkey primary key (inbox_id)
);
comment on table postroad.webhook_errors is 'Requests in the inbox that could not be read, and why. postroad.replay_webhooks has them read again.';

create table postroad.webhook_counts (
  gateway text collate "C" not null,
  stored  bigint not null default 0,
  parsed  bigint not null default 0,
  errors  bigint not null default 0,
  events  bigint not null default 0,
  last_at timestamptz not null,
  constraint webhook_counts_pkey primary key (gateway)
) with (fillfactor = 50);
comment on table postroad.webhook_counts is 'What became of the requests in the inbox, a row a gateway, kept by those who read them. What still waits is not in it.';
