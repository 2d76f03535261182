-- Schema, roles and tables. Functions, triggers, views and grants are in sql/, applied after this.

create schema if not exists postroad;
comment on schema postroad is 'The messaging layer of the organisation: call postroad.enqueue(…) in your own transaction.';

-- Roles belong to the cluster: another database of it may have made them, at this very moment too.
do $$
declare
  role text;
begin
  foreach role in array array[
    'postroad_sender', 'postroad_worker', 'postroad_webhook', 'postroad_admin', 'postroad_reader', 'postroad_functions'
  ] loop
    if not exists (select from pg_roles as r where r.rolname = role) then
      begin
        execute format('create role %I nologin', role);
      exception
        when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;
end;
$$;

-- Messages, contents and events are partitioned by the day of the UUIDv7 of their message: a message and its
-- history live and die together, and an id alone leads to its partition.

create table postroad.messages (
  message_id     uuid not null,
  tenant_id      bigint,
  recipient_id   bigint,
  source_id      bigint,
  scheduled_for  timestamptz,
  expires_at     timestamptz,
  content_id     uuid,
  batch_id       uuid,
  priority       smallint not null,
  template_version integer,
  channel        text collate "C" not null,
  message_type   text collate "C" not null,
  recipient      text collate "C" not null,
  recipient_type text collate "C",
  source_type    text collate "C",
  ip_pool        text collate "C",
  gateway        text collate "C",
  locale         text collate "C",
  template       text collate "C",
  subject        text,
  body           text,
  html           text,
  data           jsonb,
  options        jsonb,
  constraint messages_pkey primary key (message_id)
) partition by range (message_id);
comment on table postroad.messages is
'What was enqueued: immutable, one row a message. Its creation time is in its UUIDv7: postroad.created_at(message_id).';
comment on column postroad.messages.content_id is 'The content shared with the rest of a bulk send; null when the content is in this row.';
comment on column postroad.messages.recipient is 'As enqueue normalised it: address, E.164 number, token, user or URL.';
comment on column postroad.messages.priority is '0 to 4, for P0 to P4.';

create table postroad.messages_default partition of postroad.messages default;
comment on table postroad.messages_default is 'Catches what no day was made for; maintenance moves it to its day.';

create table postroad.messages_kept (like postroad.messages including all);
comment on table postroad.messages_kept is 'Records of messages that still waited when their day was dropped.';

create table postroad.contents (
  content_id uuid not null,
  subject    text,
  body       text,
  html       text,
  data       jsonb,
  options    jsonb,
  constraint contents_pkey primary key (content_id)
) partition by range (content_id);
comment on table postroad.contents is 'What the messages of a bulk send share, stored once.';

create table postroad.contents_default partition of postroad.contents default;
comment on table postroad.contents_default is 'Catches what no day was made for; maintenance moves it to its day.';

create table postroad.contents_kept (like postroad.contents including all);
comment on table postroad.contents_kept is 'Contents of messages that still waited when their day was dropped.';

-- The hot rows. Inserts go through the parent, claims work on the leaves: see postroad.note_enqueuers.

create table postroad.message_queue (
  seq        bigint not null,
  message_id uuid not null,
  priority   smallint not null,
  attempt    smallint not null default 0,
  rescues    smallint not null default 0,
  size_kb    smallint not null default 0
) partition by list (priority);
comment on table postroad.message_queue is 'Messages that may be sent now: inserted, claimed by a delete, never updated.';
comment on column postroad.message_queue.seq is 'The order of claims, from the sequence of the priority.';
comment on column postroad.message_queue.attempt is 'Delivery attempts made so far.';
comment on column postroad.message_queue.rescues is 'How often a worker died with it; the third time it ends failed, reason worker_crashed.';
comment on column postroad.message_queue.size_kb is 'Size of the message in KiB, at most 32767: a claim is bounded in bytes too.';

do $$
begin
  for p in 0..4 loop
    execute format($q$
      create table postroad.message_queue_p%1$s partition of postroad.message_queue for values in (%1$s)
        with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000, autovacuum_analyze_scale_factor = 0.5);
      create unique index message_queue_p%1$s_seq on postroad.message_queue_p%1$s (seq);
      create unique index message_queue_p%1$s_message_id on postroad.message_queue_p%1$s (message_id);
      create sequence postroad.queue_seq_p%1$s cache 1;
      create sequence postroad.queue_floor_p%1$s minvalue 0 start with 0;
      comment on table postroad.message_queue_p%1$s is 'Messages of priority P%1$s that may be sent now.';
      comment on index postroad.message_queue_p%1$s_seq is 'claim: the oldest from the floor on';
      comment on index postroad.message_queue_p%1$s_message_id is 'cancel, status; and a message is queued once';
      comment on sequence postroad.queue_seq_p%1$s is 'The order of claims.';
      comment on sequence postroad.queue_floor_p%1$s is
        'No row that waits has a lower seq. A sequence, since it is not versioned: a snapshot held elsewhere leaves no dead versions of it.';
    $q$, p);
  end loop;
end;
$$;

create table postroad.scheduled (
  message_id uuid not null,
  due_at     timestamptz not null,
  pause_id   bigint,
  priority   smallint not null,
  attempt    smallint not null default 0,
  rescues    smallint not null default 0,
  constraint scheduled_pkey primary key (message_id)
);
comment on table postroad.scheduled is 'Messages that wait for their time: scheduled, between two attempts, or parked by a pause (due at infinity).';
create index scheduled_due on postroad.scheduled (priority, due_at);
comment on index postroad.scheduled_due is 'promote_due';
create index scheduled_pause on postroad.scheduled (pause_id) where pause_id is not null;
comment on index postroad.scheduled_pause is 'resume';

create table postroad.worker_sessions (
  worker_id    bigint not null,
  started_at   timestamptz not null default clock_timestamp(),
  heartbeat_at timestamptz not null default clock_timestamp(),
  host         text not null,
  pid          integer not null,
  version      text not null,
  priorities   smallint[] not null,
  constraint worker_sessions_pkey primary key (worker_id)
) with (fillfactor = 50);
comment on table postroad.worker_sessions is
'Worker processes that run: each holds the session advisory lock worker_id for as long as it lives.';

create table postroad.leases (
  lease_id    uuid not null,
  worker_id   bigint not null,
  leased_at   timestamptz not null default clock_timestamp(),
  priority    smallint not null,
  rescues     smallint not null default 0,
  message_ids uuid[] not null,
  attempts    smallint[] not null,
  constraint leases_pkey primary key (lease_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
comment on table postroad.leases is 'One row a claimed batch. Deleted when the outcome of each message in it is an event.';
comment on column postroad.leases.rescues is 'Rescues of its message: a rescued message is claimed alone.';
alter table postroad.leases alter column message_ids set storage external, alter column attempts set storage external;

create table postroad.intents (
  lease_id    uuid not null,
  message_ids uuid[] not null
);
comment on table postroad.intents is
'Messages with on_unknown hold that a worker is about to send: if it dies, they are unknown. Deleted with their lease.';
alter table postroad.intents alter column message_ids set storage external;
create index intents_lease on postroad.intents (lease_id);
comment on index postroad.intents_lease is 'rescue, complete';

create sequence postroad.event_id_seq cache 64;
comment on sequence postroad.event_id_seq is 'Ids of delivery events; a session takes 64 at a time.';

create table postroad.delivery_events (
  event_id    bigint not null default nextval('postroad.event_id_seq'),
  xid         xid8 not null default pg_current_xact_id(),
  occurred_at timestamptz not null default clock_timestamp(),
  message_id  uuid not null,
  lease_id    uuid,
  attempt     smallint,
  event_type  text collate "C" not null,
  gateway     text collate "C",
  external_id text collate "C",
  reason      text collate "C",
  bounce_type text collate "C",
  source_key  text collate "C",
  detail      jsonb,
  constraint event_type_is_known check (event_type in (
    'sent', 'deferred', 'delivered', 'opened', 'clicked', 'converted', 'bounced', 'complained', 'unsubscribed',
    'failed', 'expired', 'cancelled', 'suppressed', 'unknown', 'received'))
) partition by range (message_id);
comment on table postroad.delivery_events is 'What happened to messages: append-only. The event queued is the row in messages.';
comment on column postroad.delivery_events.xid is 'The transaction that wrote it: readers go from snapshot to snapshot and skip none.';
comment on column postroad.delivery_events.lease_id is 'The lease under which a worker wrote it; null for events from elsewhere.';
comment on column postroad.delivery_events.attempt is 'The attempt it ended, from 1.';
comment on column postroad.delivery_events.reason is 'Machine-readable reason, wherever a message was not sent.';
comment on column postroad.delivery_events.source_key is 'The provider''s id of the event: the same event is kept once.';
comment on column postroad.delivery_events.detail is 'The provider''s own code and words.';
create unique index delivery_events_lease on postroad.delivery_events (message_id, lease_id, event_type);
create unique index delivery_events_source on postroad.delivery_events (message_id, event_type, source_key) where source_key is not null;
create index delivery_events_failed on postroad.delivery_events (occurred_at) where event_type in ('failed', 'bounced');

create table postroad.late_events partition of postroad.delivery_events default;
comment on table postroad.late_events is 'Events of messages whose day is gone.';

create table postroad.idempotency_keys (
  tenant_id   bigint,
  key         text collate "C" not null,
  created_at  timestamptz not null default clock_timestamp(),
  message_id  uuid not null,
  fingerprint bytea not null,
  constraint idempotency_keys_are_unique unique nulls not distinct (tenant_id, key)
);
comment on table postroad.idempotency_keys is 'Keys seen in the last 7 days, with the message or batch that each made and a fingerprint of the call.';
create index idempotency_keys_created_at on postroad.idempotency_keys using brin (created_at);
comment on index postroad.idempotency_keys_created_at is 'purge_idempotency_keys';

create table postroad.suppression_list (
  address    text collate "C" not null,
  channel    text collate "C",
  tenant_id  bigint,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  event_id   bigint,
  reason     text not null,
  source     text,
  constraint suppression_list_is_unique unique nulls not distinct (address, channel, tenant_id)
);
comment on table postroad.suppression_list is 'Recipients that we do not send to.';
comment on column postroad.suppression_list.address is 'As postroad.suppression_key writes it: an email address in lower case.';
comment on column postroad.suppression_list.channel is 'Null: every channel.';
comment on column postroad.suppression_list.tenant_id is 'Null: every tenant.';
comment on column postroad.suppression_list.expires_at is 'Null: for good.';

create table postroad.pauses (
  pause_id  bigint generated always as identity,
  scope     text not null,
  key       text collate "C" not null,
  paused_at timestamptz not null default clock_timestamp(),
  paused_by text not null default session_user,
  reason    text not null,
  constraint pauses_pkey primary key (pause_id),
  constraint pauses_are_unique unique (scope, key),
  constraint scope_is_known check (scope in ('priority', 'channel', 'gateway', 'source', 'tenant', 'domain'))
);
comment on table postroad.pauses is 'What is paused now, by whom and why.';

create table postroad.channel_health (
  gateway         text not null,
  channel         text not null,
  position        smallint not null,
  registered_at   timestamptz not null default clock_timestamp(),
  last_success_at timestamptz,
  last_failure_at timestamptz,
  last_reason     text,
  sent            bigint not null default 0,
  failed          bigint not null default 0,
  constraint channel_health_pkey primary key (gateway, channel)
) with (fillfactor = 50);
comment on table postroad.channel_health is 'The gateways that workers registered for each channel, and how they do.';
comment on column postroad.channel_health.position is 'First choice is 1.';

create table postroad.rate_limits (
  limit_type text not null,
  limit_key  text collate "C" not null,
  per_second integer,
  per_minute integer,
  per_hour   integer,
  per_day    integer,
  updated_at timestamptz not null default clock_timestamp(),
  constraint rate_limits_pkey primary key (limit_type, limit_key),
  constraint limit_type_is_known check (limit_type in ('domain', 'gateway', 'ip_pool', 'channel', 'tenant', 'recipient')),
  constraint limits_are_positive check (
    coalesce(per_second, 1) > 0 and coalesce(per_minute, 1) > 0 and coalesce(per_hour, 1) > 0 and coalesce(per_day, 1) > 0)
);
comment on table postroad.rate_limits is 'How much may go out a second, minute, hour and day; null means no limit.';
insert into postroad.rate_limits (limit_type, limit_key, per_hour)
values
  ('domain', 'gmail.com', 10000),
  ('domain', 'yahoo.com', 5000),
  ('domain', 'hotmail.com', 5000),
  ('domain', 'outlook.com', 5000),
  ('domain', 'aol.com', 3000);

create table postroad.message_templates (
  slug       text not null,
  version    integer not null,
  channel    text not null,
  locale     text not null default '',
  subject    text,
  body       text,
  html       text,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null default session_user,
  constraint message_templates_pkey primary key (slug, channel, version, locale)
);
comment on table postroad.message_templates is 'Templates by slug, channel, version and locale.';
