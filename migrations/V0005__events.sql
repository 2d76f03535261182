-- How apps learn of events: their order, who has read how far, what is counted, and where they are posted.

do $$
begin
  create role postroad_consumer nologin;
exception
  when duplicate_object or unique_violation then null;      -- roles belong to the cluster
end;
$$;

-- Readers go from snapshot to snapshot, by the transaction that wrote a row. A bigint, since BRIN has no operator class for xid8, and an
-- expression would be computed for each row: 8 bytes of WAL a message, and an index that writes nothing while its last pages fill.
alter table postroad.messages add column xid bigint not null default txid_current();
alter table postroad.messages_kept add column xid bigint not null default txid_current();
alter table postroad.delivery_events
  alter column xid drop default,
  alter column xid type bigint using xid::text::bigint,
  alter column xid set default txid_current();
comment on column postroad.messages.xid is 'The transaction that enqueued it: readers go from snapshot to snapshot and skip none.';
create index messages_xid on postroad.messages using brin (xid) with (pages_per_range = 64);
create index delivery_events_xid on postroad.delivery_events using brin (xid) with (pages_per_range = 64);
comment on index postroad.messages_xid is 'read_events, count_events; see summarize_events';
comment on index postroad.delivery_events_xid is 'read_events, count_events; see summarize_events';

create table postroad.system_events (
  event_id    bigint not null default nextval('postroad.event_id_seq'),
  xid         bigint not null default txid_current(),
  occurred_at timestamptz not null default clock_timestamp(),
  kind        text collate "C" not null,
  subject     text collate "C",
  detail      jsonb,
  constraint system_events_pkey primary key (event_id)
);
comment on table postroad.system_events is
'What happened to the system rather than to a message: append-only, rare. See postroad.emit_system_event.';
comment on column postroad.system_events.kind is 'Such as gateway_health_changed; readers see it as system.gateway_health_changed.';
comment on column postroad.system_events.subject is 'What it happened to: a gateway, a channel, a limit. Never an address.';
comment on column postroad.system_events.detail is 'More of it. An address may stand in detail.address only, a tenant in detail.tenant_id.';
create index system_events_xid on postroad.system_events (xid);
comment on index postroad.system_events_xid is 'read_events';
create index system_events_occurred_at on postroad.system_events using brin (occurred_at);
comment on index postroad.system_events_occurred_at is 'purge_events';

-- Who has read how far.

create table postroad.consumers (
  consumer      text collate "C" not null,
  event_types   text[],
  registered_at timestamptz not null default clock_timestamp(),
  read_at       timestamptz,
  acked_at      timestamptz,
  seen_at       timestamptz not null default clock_timestamp(),
  seen          txid_snapshot not null,
  upto_at       timestamptz,
  upto          txid_snapshot,
  at_xid        bigint,
  at_key        uuid,
  batch_id      bigint not null default 0,
  batch_xid     bigint,
  batch_key     uuid,
  split_last    uuid,
  constraint consumers_pkey primary key (consumer)
) with (fillfactor = 50);
comment on table postroad.consumers is 'The position of each reader of events.';
comment on column postroad.consumers.event_types is 'What it reads: see register_consumer.';
comment on column postroad.consumers.seen is 'All that this snapshot sees was read and acknowledged.';
comment on column postroad.consumers.upto is 'The interval under way ends with this snapshot; null between two intervals.';
comment on column postroad.consumers.at_xid is 'Of that interval, what was acknowledged: up to this transaction and, in it, this key.';
comment on column postroad.consumers.batch_id is 'The last batch that was read.';
comment on column postroad.consumers.batch_xid is 'The end of the batch that is not acknowledged yet (with batch_key); null when there is none.';
comment on column postroad.consumers.seen_at is 'When that snapshot was taken: how far behind it is.';
comment on column postroad.consumers.split_last is 'The last key of the transaction at_xid, which is larger than a batch.';

insert into postroad.consumers (consumer, seen) values ('_counters', '3:3:');

create table postroad.event_ticks (
  at       timestamptz not null default clock_timestamp(),
  snapshot txid_snapshot not null,
  constraint event_ticks_pkey primary key (at)
);
comment on table postroad.event_ticks is 'What could be seen at a time, once a minute: a reader may begin there.';

-- Counters.

create table postroad.message_counters (
  day          date not null,
  tenant_id    bigint,
  count        bigint not null,
  channel      text collate "C" not null,
  gateway      text collate "C",
  message_type text collate "C" not null,
  source_type  text collate "C",
  event_type   text collate "C" not null,
  constraint message_counters_are_unique unique nulls not distinct (day, event_type, channel, gateway, message_type, source_type, tenant_id)
) with (fillfactor = 70);
comment on table postroad.message_counters is
'Events by the day (UTC) of their message, channel, gateway, message type, source and tenant. Kept by count_events, checked by audit_counters. They stay when the day is dropped.';
comment on column postroad.message_counters.day is 'The day on which the message was enqueued.';
comment on column postroad.message_counters.channel is 'Empty when the record of the message was gone by the time of the event; so is message_type.';

create table postroad.event_minutes (
  minute       timestamptz not null,
  events       bigint not null,
  last_at      timestamptz not null,
  channel      text collate "C" not null,
  gateway      text collate "C",
  event_type   text collate "C" not null,
  constraint event_minutes_are_unique unique nulls not distinct (minute, event_type, channel, gateway)
) with (fillfactor = 70);
comment on table postroad.event_minutes is 'Events by the minute in which they happened. Kept by count_events for 25 hours.';

-- Webhooks that we post.

create table postroad.webhook_endpoints (
  endpoint_id       bigint generated always as identity,
  url               text not null,
  event_types       text[] not null,
  channels          text[],
  tenant_id         bigint,
  include_addresses boolean not null default false,
  description       text,
  created_at        timestamptz not null default clock_timestamp(),
  created_by        text not null default session_user,
  disabled_at       timestamptz,
  disabled_reason   text,
  failing_since     timestamptz,
  last_success_at   timestamptz,
  last_failure_at   timestamptz,
  last_failure      text,
  constraint webhook_endpoints_pkey primary key (endpoint_id)
) with (fillfactor = 50);
comment on table postroad.webhook_endpoints is 'Where events are posted, by Standard Webhooks 1.0.0.';
comment on column postroad.webhook_endpoints.event_types is 'Such as message.*, message.delivered, system.*.';
comment on column postroad.webhook_endpoints.channels is 'Events of messages of these channels only; null: of all.';
comment on column postroad.webhook_endpoints.tenant_id is 'Events of this tenant only; null: of all.';
comment on column postroad.webhook_endpoints.failing_since is 'No delivery has succeeded since; null after a success.';

create table postroad.webhook_secrets (
  endpoint_id bigint not null,
  created_at  timestamptz not null default clock_timestamp(),
  valid_until timestamptz,
  secret      text not null,
  constraint webhook_secrets_endpoint foreign key (endpoint_id) references postroad.webhook_endpoints on delete cascade
);
comment on table postroad.webhook_secrets is 'What signs the requests to an endpoint: the one without end, and for a while those that it replaced.';
create index webhook_secrets_endpoint on postroad.webhook_secrets (endpoint_id);
comment on index postroad.webhook_secrets_endpoint is 'claim_webhooks';

create table postroad.webhook_outbox (
  delivery_id     bigint generated always as identity,
  endpoint_id     bigint not null,
  created_at      timestamptz not null default clock_timestamp(),
  due_at          timestamptz default clock_timestamp(),
  finished_at     timestamptz,
  attempts        smallint not null default 0,
  last_status     smallint,
  last_error      text,
  webhook_id      text collate "C" not null,
  event_type      text collate "C" not null,
  payload         text not null,
  constraint webhook_outbox_pkey primary key (delivery_id),
  constraint webhook_outbox_endpoint foreign key (endpoint_id) references postroad.webhook_endpoints on delete cascade
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
comment on table postroad.webhook_outbox is 'Events on their way to endpoints, one row each, and what became of them.';
comment on column postroad.webhook_outbox.due_at is 'When it is tried next; while a process posts it, when another one may. Null: delivered or given up.';
comment on column postroad.webhook_outbox.webhook_id is 'The same at every attempt, and unique to an event and endpoint.';
create index webhook_outbox_due on postroad.webhook_outbox (endpoint_id, due_at, delivery_id) where due_at is not null;
comment on index postroad.webhook_outbox_due is 'claim_webhooks';
create index webhook_outbox_finished on postroad.webhook_outbox using brin (created_at);
comment on index postroad.webhook_outbox_finished is 'purge_events';

create index late_events_occurred_at on postroad.late_events using brin (occurred_at);
comment on index postroad.late_events_occurred_at is 'purge_events';
