create or replace function postroad.cancel(message_id uuid)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
  place postroad.message_queue;
  others uuid[];
begin
  -- A claim deletes the same row: exactly one of the two gets it. A row that a claim, or the cancel of another message in it, has locked is waited for; what is left
  -- of it then is another row.
  loop
    select q.* into place from postroad.queue_row_of(cancel.message_id) as q;
    exit when not found;
    delete from postroad.message_queue as q
    where q.priority = place.priority
      and q.message_id = place.message_id
      and q.seq = place.seq
    returning array_remove(q.message_id || q.more_ids, cancel.message_id) into others;
    exit when found;
  end loop;
  if found then
    insert into postroad.message_queue (seq, message_id, priority, attempt, rescues, size_kb, more_ids)
    select place.seq, others[1], place.priority, place.attempt, place.rescues, place.size_kb, nullif(others[2:], '{}')
    where others <> '{}';
  else
    delete from postroad.scheduled as s where s.message_id = cancel.message_id;
    if not found then
      return false;
    end if;
  end if;
  insert into postroad.delivery_events (message_id, event_type, reason)
  values (message_id, 'cancelled', 'cancelled');
  return true;
end;
$$;

comment on function postroad.cancel is
$$Withdraws a message that still waits, in the queue, for its time, for its next attempt or in a pause. False when it does not: it is being sent, or has ended,
or is not known. Until the transaction ends, the up to fifteen messages of the same bulk send that share its row of the queue wait too.$$;

revoke all on function postroad.cancel from public;
grant execute on function postroad.cancel to postroad_sender, postroad_admin;
