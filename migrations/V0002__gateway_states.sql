-- What the nodes tell each other of gateways: breakers, weights, and a log of their changes.

create table postroad.gateway_states (
  gateway    text not null,
  is_open    boolean not null default false,
  cause      text,
  changed_at timestamptz not null default clock_timestamp(),
  open_until timestamptz,
  probe_until timestamptz,
  weight     integer,
  constraint gateway_states_pkey primary key (gateway),
  constraint weight_is_not_negative check (weight >= 0)
) with (fillfactor = 50);
comment on table postroad.gateway_states is 'Each gateway''s breaker and weight, as all nodes see them.';
comment on column postroad.gateway_states.is_open is 'An open breaker: no traffic until a probe succeeds.';
comment on column postroad.gateway_states.probe_until is 'A node is probing; another may after this.';
comment on column postroad.gateway_states.weight is 'Share of the channel''s traffic; null: in configured order.';

create table postroad.health_log (
  changed_at timestamptz not null default clock_timestamp(),
  gateway    text not null,
  state      text not null,
  cause      text,
  worker_id  bigint
);
comment on table postroad.health_log is 'Each change of a gateway''s breaker: open (and why) or closed; append-only.';
create index health_log_changed_at on postroad.health_log using brin (changed_at);

create table postroad.gateway_minutes (
  minute    timestamptz not null,
  gateway   text not null,
  channel   text not null,
  sent      bigint not null default 0,
  failed    bigint not null default 0,
  latencies bigint[] not null,
  constraint gateway_minutes_pkey primary key (minute, gateway, channel)
) with (fillfactor = 50);
comment on table postroad.gateway_minutes is
'What gateways answered, a row a minute: workers add to it every few seconds. Kept for 25 hours.';
comment on column postroad.gateway_minutes.latencies is
'Calls by latency: bucket n counts those of up to 2^n ms, from n = 0 to 15; the last bucket counts the rest.';

alter table postroad.channel_health
  add column success_rate_1h real,
  add column success_rate_24h real,
  add column average_latency_ms real,
  add column p95_latency_ms real,
  add column current_rate real,
  add column maximum_rate real;
comment on column postroad.channel_health.success_rate_1h is '0 to 1; null without calls.';
comment on column postroad.channel_health.p95_latency_ms is 'Of the last hour, to the bucket of gateway_minutes.latencies.';
comment on column postroad.channel_health.current_rate is 'Calls a second in the last full minute.';
comment on column postroad.channel_health.maximum_rate is 'The most calls a second in a minute of the last 24 hours.';
