create or replace function postroad.cancel(message_id uuid)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not postroad.withdraw(message_id) then
    return false;
  end if;
  insert into postroad.delivery_events (message_id, event_type, reason)
  values (message_id, 'cancelled', 'cancelled');
  return true;
end;
$$;

comment on function postroad.cancel is
$$Withdraws a message that still waits, in the queue, for its time, for its next attempt or in a pause. False when it does not: it is being sent, or has ended,
or is not known. Until the transaction ends, the up to fifteen messages of the same bulk send that share its row of the queue wait too:
who cancels several in one transaction does so in the order of their ids, and repeats it after 40P01 (deadlock) or, in repeatable read, 40001.$$;

revoke all on function postroad.cancel from public;
grant execute on function postroad.cancel to postroad_sender, postroad_admin;
