create or replace function postroad.cancel(message_id uuid)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
begin
  -- A claim deletes the same row: exactly one of the two gets it. A row that a claim has locked is waited for, and gone then.
  delete from postroad.message_queue as q where q.message_id = cancel.message_id;
  if not found then
    delete from postroad.scheduled as s where s.message_id = cancel.message_id;
  end if;
  if not found then
    return false;
  end if;
  insert into postroad.delivery_events (message_id, event_type, reason)
  values (message_id, 'cancelled', 'cancelled');
  return true;
end;
$$;

comment on function postroad.cancel is
$$Withdraws a message that still waits, in the queue, for its time, for its next attempt or in a pause. False when it does not: it is being sent, or has ended,
or is not known.$$;

revoke all on function postroad.cancel from public;
grant execute on function postroad.cancel to postroad_sender, postroad_admin;
