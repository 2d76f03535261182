create or replace function postroad.look_at_workers()
returns table (worker_id bigint, is_gone boolean, heartbeat_at timestamptz, is_silent boolean)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  -- A start in the future is one before the clock was put back.
  if clock_timestamp() - pg_postmaster_start_time() between '0' and '5 seconds' then
    return;                                      -- workers are still connecting again
  end if;
  return query
  with held as materialized (
    select h.worker_id from postroad.held_worker_ids() as h (worker_id)
  )
  select w.worker_id, w.worker_id not in (select h.worker_id from held as h), w.heartbeat_at,
    w.heartbeat_at not between clock_timestamp() - interval '15 seconds' and clock_timestamp()
  from postroad.worker_sessions as w
  union all
  select distinct l.worker_id, true, null::timestamptz, false      -- a claim that committed after its worker was rescued
  from postroad.leases as l
  where not exists (select from postroad.worker_sessions as w where w.worker_id = l.worker_id)
    and l.worker_id not in (select h.worker_id from held as h);
end;
$$;

comment on function postroad.look_at_workers is
$$All workers, and of each whether its advisory lock is free (gone), and whether its heartbeat is older than 15 s, or in the future (silent). One that is gone in two looks one second
apart is dead: see rescue. A silent one may be alive, for the clock may have been put forward or back: it is dead when its heartbeat has not changed in the looks of
10 s. None in the first 5 s of a server: workers are still connecting again.$$;

revoke all on function postroad.look_at_workers from public;
grant execute on function postroad.look_at_workers to postroad_worker;

create or replace function postroad.held_worker_ids()
returns setof bigint
language sql
volatile
as $$
  select (l.classid::bigint << 32) | l.objid::bigint
  from pg_locks as l
  where l.locktype = 'advisory'
    and l.objsubid = 1
    and l.granted
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
$$;

comment on function postroad.held_worker_ids is 'The keys of all advisory locks of this database that are held: those of worker sessions among them.';

create or replace function postroad.rescue(
  worker_id    bigint,
  heartbeat_at timestamptz default null
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  lease record;
  suspects integer;
  nth integer := 0;
  rescued integer := 0;
begin
  perform postroad.need_read_committed();
  delete from postroad.worker_sessions as w                   -- from here on it claims nothing
  where w.worker_id = rescue.worker_id
    and (
      w.heartbeat_at = rescue.heartbeat_at
      or w.worker_id not in (select h.id from postroad.held_worker_ids() as h (id))
    );
  if not found and exists (select from postroad.worker_sessions as w where w.worker_id = rescue.worker_id) then
    return 0;                                                 -- its heart beat since it was looked at
  end if;
  select count(*) into suspects
  from postroad.leases as l, postroad.unsent_of(l) as u
  where l.worker_id = rescue.worker_id
    and l.rescues >= 2;
  for lease in
    select l.lease_id, l.rescues
    from postroad.leases as l
    where l.worker_id = rescue.worker_id
    order by l.lease_id
  loop
    nth := nth + (lease.rescues >= 2)::integer;
    rescued := rescued + postroad.rescue_lease(lease.lease_id,
      case when suspects > 1 then make_interval(secs => nth * power(2, least(lease.rescues - 2, 6))) end);
  end loop;
  return rescued;
end;
$$;

comment on function postroad.rescue is
$$Takes a dead worker's leases and requeues what has no outcome: one whose advisory lock is free, or, given the heartbeat that its caller saw for too long, one that has no later one.
Returns how many messages the leases had; 0, and nothing is done, when the worker is alive after all.$$;

revoke all on function postroad.rescue from public;
grant execute on function postroad.rescue to postroad_worker;

create or replace function postroad.rescue_lease(
  lease_id uuid,
  apart    interval
)
returns integer
language plpgsql
volatile
set enable_seqscan = off
set jit = off
as $$
declare
  lease postroad.leases;
  intended uuid[];
  rescued integer;
begin
  select l.* into lease
  from postroad.leases as l
  where l.lease_id = rescue_lease.lease_id
  for update skip locked;                        -- a completion or another rescue is at it: next time
  if not found then
    return 0;
  end if;
  intended := array(
    select u.id
    from postroad.intents as i, unnest(i.message_ids) as u (id)
    where i.lease_id = lease.lease_id
  );
  -- What follows runs under a new snapshot: it sees the events of every completion that held the lease.
  with unsent as materialized (
    select u.message_id, u.attempt,
      u.message_id = any (intended) as held,
      lease.rescues + 1 >= 3 and apart is null as hopeless,
      lease.rescues + 1 >= 3 and apart is not null as suspected
    from postroad.unsent_of(lease) as u
  ), ended as (
    insert into postroad.delivery_events (message_id, lease_id, event_type, attempt, reason)
    select u.message_id, lease.lease_id, case when u.held then 'unknown' else 'failed' end, u.attempt + 1, 'worker_crashed'
    from unsent as u
    where u.held or u.hopeless
    on conflict do nothing
  ), told as (
    insert into postroad.delivery_events (message_id, lease_id, event_type, reason, detail)
    select u.message_id, lease.lease_id, 'deferred', 'worker_crashed',
      case
        -- Of what may not go out twice there would be an intent.
        when postroad.on_unknown(m.message_type, m.options, m.content_id) = 'resend' then '{"in_doubt": true}'::jsonb
      end
    from unsent as u
    left join lateral (select x.* from postroad.record_of(u.message_id) as x) as m on true
    where not u.held and not u.hopeless
    on conflict do nothing
  ), put_off as (
    insert into postroad.scheduled (message_id, due_at, priority, attempt, rescues)
    select u.message_id, clock_timestamp() + apart, lease.priority, u.attempt, lease.rescues + 1
    from unsent as u
    where not u.held and u.suspected
    on conflict do nothing
  ), requeued as (
    select postroad.queue_again(array_agg(u.message_id), lease.priority, array_agg(u.attempt), array_agg((lease.rescues + 1)::smallint))
    from unsent as u
    where not u.held and not u.hopeless and not u.suspected
  )
  select count(*) into rescued
  from unsent as u, (select count(*) from requeued) as q;
  delete from postroad.intents as i where i.lease_id = lease.lease_id;
  delete from postroad.leases as l where l.lease_id = lease.lease_id;
  perform postroad.wake(lease.priority);
  return rescued;
end;
$$;

comment on function postroad.rescue_lease is
$$Requeues the messages of a lease that have no event of it, each with one rescue more and an event that says so (deferred, reason worker_crashed; in_doubt in its detail where it may have
gone out); those with an intent become unknown, those rescued for the third time failed, reason worker_crashed. But where several were rescued so often at once, one of them is to blame and the others were beside it: given an interval, they are due
after it, so that they are sent apart. Returns how many had none; 0 when somebody else is at it.$$;
