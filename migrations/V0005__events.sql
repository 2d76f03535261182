-- How apps learn of events.

create table postroad.system_events (
  event_id    bigint not null default nextval('postroad.event_id_seq'),
  xid         xid8 not null default pg_current_xact_id(),
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
