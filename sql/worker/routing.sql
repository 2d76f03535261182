create or replace function postroad.routing_state()
returns table (
  gateway   text,
  is_paused boolean,
  is_open   boolean,
  open_ms   bigint,
  weight    integer
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select coalesce(s.gateway, x.key), x.key is not null, coalesce(s.is_open, false),
    -- A breaker is open for a minute at most before a probe: what says more was written before the clock was put back.
    case when s.open_until between clock_timestamp() and clock_timestamp() + interval '1 minute'
      then extract(epoch from s.open_until - clock_timestamp()) * 1000 else 0 end::bigint, s.weight
  from postroad.gateway_states as s
  full join (select p.key from postroad.pauses as p where p.scope = 'gateway') as x on x.key = s.gateway;
end;
$$;

comment on function postroad.routing_state is
$$What the nodes know of gateways: paused, breaker open (for so many ms more before a probe), weight. A gateway without a row is in order.$$;

revoke all on function postroad.routing_state from public;
grant execute on function postroad.routing_state to postroad_worker;

create or replace function postroad.report_breaker(
  gateway   text,
  is_open   boolean,
  cause     text,
  open_ms   bigint,
  worker_id bigint
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  changed boolean;
begin
  insert into postroad.gateway_states as s (gateway, is_open, cause, open_until)
  values (gateway, is_open, cause, clock_timestamp() + make_interval(secs => open_ms / 1000.0))
  on conflict on constraint gateway_states_pkey do update
  set is_open = excluded.is_open, cause = excluded.cause, open_until = excluded.open_until, probe_until = null,
    changed_at = case when s.is_open = excluded.is_open then s.changed_at else clock_timestamp() end
  where excluded.is_open or s.is_open
  returning s.changed_at >= statement_timestamp() into changed;
  if changed then
    insert into postroad.health_log (gateway, state, cause, worker_id)
    values (gateway, case when is_open then 'open' else 'closed' end, cause, worker_id);
    perform postroad.emit_system_event('gateway_health_changed', gateway,
      jsonb_strip_nulls(jsonb_build_object('state', case when is_open then 'open' else 'closed' end, 'cause', cause)));
  end if;
  perform pg_notify('postroad_health', gateway);
end;
$$;

comment on function postroad.report_breaker is
$$Tells all nodes that a gateway's breaker opened, for open_ms until it may be probed, or closed. A change is a row in health_log and a system event; NOTIFY postroad_health carries the
gateway's name.$$;

revoke all on function postroad.report_breaker from public;
grant execute on function postroad.report_breaker to postroad_worker;

create or replace function postroad.take_probe(gateway text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update postroad.gateway_states as s
  set probe_until = clock_timestamp() + interval '3 seconds'       -- then another node may, if this one had no message for it
  where s.gateway = take_probe.gateway
    and s.is_open
    and s.open_until not between clock_timestamp() and clock_timestamp() + interval '1 minute'
    and (s.probe_until is null or s.probe_until not between clock_timestamp() and clock_timestamp() + interval '3 seconds');
  return found;
end;
$$;

comment on function postroad.take_probe is 'Whether this node is the one that sends the next message to a gateway whose breaker is open, to see.';

revoke all on function postroad.take_probe from public;
grant execute on function postroad.take_probe to postroad_worker;

create or replace function postroad.add_gateway_calls(
  gateways  text[],
  channels  text[],
  sent      bigint[],
  failed    bigint[],
  latencies jsonb,
  reasons   text[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into postroad.gateway_minutes as g (minute, gateway, channel, sent, failed, latencies)
  select date_trunc('minute', clock_timestamp()), u.gateway, u.channel, u.sent, u.failed,
    array(select b.calls::bigint from jsonb_array_elements_text(latencies -> (u.nth::integer - 1)) with ordinality as b (calls, nth) order by b.nth)
  from unnest(gateways, channels, sent, failed) with ordinality as u (gateway, channel, sent, failed, nth)
  order by u.gateway, u.channel
  on conflict on constraint gateway_minutes_pkey do update
  set sent = g.sent + excluded.sent, failed = g.failed + excluded.failed,
    latencies = array(select a + b from unnest(g.latencies, excluded.latencies) with ordinality as l (a, b, nth) order by l.nth);
  update postroad.channel_health as h
  set sent = h.sent + u.sent, failed = h.failed + u.failed,
    last_success_at = case when u.sent > 0 then clock_timestamp() else h.last_success_at end,
    last_failure_at = case when u.failed > 0 then clock_timestamp() else h.last_failure_at end,
    last_reason = coalesce(u.reason, h.last_reason)
  from (
    select x.* from unnest(gateways, channels, sent, failed, reasons) as x (gateway, channel, sent, failed, reason) order by 1, 2
  ) as u
  where h.gateway = u.gateway and h.channel = u.channel;
end;
$$;

comment on function postroad.add_gateway_calls is
$$Adds a worker's calls of the last seconds to gateway_minutes and channel_health: one element of each array a gateway and channel; latencies is an array of arrays of 17
buckets; reasons: of the last failure, or null.$$;

revoke all on function postroad.add_gateway_calls from public;
grant execute on function postroad.add_gateway_calls to postroad_worker;
