create or replace function postroad.register_worker(
  worker_id  bigint,
  host       text,
  pid        integer,
  version    text,
  priorities smallint[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into postroad.worker_sessions (worker_id, host, pid, version, priorities)
  values (worker_id, host, pid, version, priorities);
end;
$$;

comment on function postroad.register_worker is
$$Registers a worker process, whose session must hold the advisory lock worker_id already: it is alive for as long as that lock is held and its heartbeat is
younger than 15 s.$$;

revoke all on function postroad.register_worker from public;
grant execute on function postroad.register_worker to postroad_worker;

create or replace function postroad.heartbeat(worker_id bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update postroad.worker_sessions as w
  set heartbeat_at = clock_timestamp()
  where w.worker_id = heartbeat.worker_id;
  return found;
end;
$$;

comment on function postroad.heartbeat is 'Says that a worker is alive, every 5 s; false when it was taken for dead and must register anew.';

revoke all on function postroad.heartbeat from public;
grant execute on function postroad.heartbeat to postroad_worker;

create or replace function postroad.unregister_worker(worker_id bigint)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  delete from postroad.worker_sessions as w
  where w.worker_id = unregister_worker.worker_id
    and not exists (select from postroad.leases as l where l.worker_id = w.worker_id);
end;
$$;

comment on function postroad.unregister_worker is 'Says that a worker stopped; with a lease left it stays, and is rescued.';

revoke all on function postroad.unregister_worker from public;
grant execute on function postroad.unregister_worker to postroad_worker;

create or replace function postroad.register_gateways(gateways text[], channels text[], positions smallint[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into postroad.channel_health as h (gateway, channel, position)
  select u.gateway, u.channel, u.position
  from unnest(gateways, channels, positions) as u (gateway, channel, position)
  order by u.gateway, u.channel
  on conflict (gateway, channel) do update
  set position = excluded.position, registered_at = clock_timestamp();
end;
$$;

comment on function postroad.register_gateways is 'Says which gateways a worker has for which channels; position 1 is the first choice.';

revoke all on function postroad.register_gateways from public;
grant execute on function postroad.register_gateways to postroad_worker;

create or replace function postroad.gate_is_open(priority smallint, p1_gate bigint)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  queue_floor bigint;
begin
  if exists (select from postroad.pauses as x where x.scope = 'priority' and x.key = 'P' || gate_is_open.priority) then
    return false;
  end if;
  if priority not in (2, 3) or exists (select from postroad.pauses as x where x.scope = 'priority' and x.key = 'P1') then
    return true;
  end if;
  select s.last_value into queue_floor from postroad.queue_floor_p1 as s;
  return (
    select coalesce(sum(x.messages), 0) < greatest(p1_gate, 1)
    from (
      select 1 + coalesce(cardinality(q.more_ids), 0) as messages
      from postroad.message_queue_p1 as q
      where q.seq >= queue_floor
      limit greatest(p1_gate, 1)
    ) as x
  );
end;
$$;

comment on function postroad.gate_is_open is
$$Whether a pool may claim, asked twice a second at most: its priority is not paused; and P2 and P3 claim only while fewer than p1_gate P1 messages can be sent
now (a paused P1 does not count).$$;

revoke all on function postroad.gate_is_open from public;
grant execute on function postroad.gate_is_open to postroad_worker;
