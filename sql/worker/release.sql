create or replace function postroad.release(
  lease_id uuid,
  delay    interval default '0'
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  lease postroad.leases;
  released integer;
begin
  perform postroad.need_read_committed();
  delay := coalesce(delay, '0');
  if delay < '0' then
    raise exception 'delay must not be negative, got %', delay
      using errcode = 'PR001';
  end if;
  select l.* into lease
  from postroad.leases as l
  where l.lease_id = release.lease_id
  for update;                                    -- waits for a completion under way; what follows sees its events
  if not found then
    return 0;
  end if;
  if delay = '0' then
    select postroad.queue_again(array_agg(u.message_id), lease.priority, array_agg(u.attempt), array_agg(lease.rescues)) into released
    from postroad.unsent_of(lease) as u;
  else
    insert into postroad.scheduled (message_id, due_at, priority, attempt, rescues)
    select u.message_id, clock_timestamp() + delay, lease.priority, u.attempt, lease.rescues
    from postroad.unsent_of(lease) as u
    on conflict do nothing;
    get diagnostics released = row_count;
  end if;
  delete from postroad.leases as l where l.lease_id = release.lease_id;
  delete from postroad.intents as i where i.lease_id = release.lease_id;
  if released > 0 and delay = '0' then
    perform postroad.wake(lease.priority);
  end if;
  return released;
end;
$$;

comment on function postroad.release is
$$Ends a lease and gives back the messages in it that have no event of it yet, due after delay (default: now). Their attempt is not counted.
Returns how many; 0 when the lease is gone. Raises PR001 when delay is negative.$$;

revoke all on function postroad.release from public;
grant execute on function postroad.release to postroad_worker;

create or replace function postroad.unsent_of(lease postroad.leases)
returns table (message_id uuid, attempt smallint)
language sql
volatile
as $$
  select u.message_id, u.attempt
  from unnest(lease.message_ids, lease.attempts) with ordinality as u (message_id, attempt, nth)
  where not exists (
    select from postroad.delivery_events as e
    where e.message_id = u.message_id
      and e.lease_id = lease.lease_id
  )
  order by u.nth
$$;

comment on function postroad.unsent_of is 'The messages of a lease that have no event of it, in its order.';
