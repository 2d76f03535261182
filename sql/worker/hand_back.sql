create or replace function postroad.hand_back(lease_ids uuid[], message_ids uuid[])
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  lease postroad.leases;
  given uuid[];
  queued integer;
  handed_back integer := 0;
begin
  for lease in
    select l.*
    from postroad.leases as l
    where l.lease_id = any (lease_ids)
    order by l.lease_id
    for update                                   -- against a rescue at the same time
  loop
    given := array(
      select u.message_id
      from unnest(lease_ids, message_ids) as u (lease_id, message_id)
      where u.lease_id = lease.lease_id
    );
    select postroad.queue_again(array_agg(u.message_id), lease.priority, array_agg(u.attempt), array_agg(lease.rescues)) into queued
    from postroad.unsent_of(lease) as u
    where u.message_id = any (given);
    handed_back := handed_back + queued;
    update postroad.leases as l
    set message_ids = coalesce(k.message_ids, '{}'), attempts = coalesce(k.attempts, '{}')
    from (
      select array_agg(u.message_id order by u.nth) as message_ids, array_agg(u.attempt order by u.nth) as attempts
      from unnest(lease.message_ids, lease.attempts) with ordinality as u (message_id, attempt, nth)
      where u.message_id <> all (given)
    ) as k
    where l.lease_id = lease.lease_id;
    if queued > 0 then
      perform postroad.wake(lease.priority);
    end if;
  end loop;
  return handed_back;
end;
$$;

comment on function postroad.hand_back is
$$Gives back messages that were claimed and not sent, each with its lease; their attempt is not counted. The rest of a lease stays with its worker.
Returns how many went back. May be called again after an error; a lease that is gone was rescued, and its messages with it.$$;

revoke all on function postroad.hand_back from public;
grant execute on function postroad.hand_back to postroad_worker;
