create or replace function postroad.follow_clock(back interval)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  messages integer;
  deliveries integer;
begin
  if back < '0' then
    raise exception 'back must not be negative, got %', back
      using errcode = 'PR001';
  end if;
  -- What a caller of enqueue set is a time of day, and stays; retries, snoozes and what a rescue set apart are so long after something.
  update postroad.scheduled as s
  set due_at = s.due_at - back
  where s.due_at > clock_timestamp()
    and s.due_at < clock_timestamp() + back + interval '1 day'
    and s.due_at is distinct from (select r.scheduled_for from postroad.record_of(s.message_id) as r);
  get diagnostics messages = row_count;
  update postroad.webhook_outbox as o
  set due_at = o.due_at - back
  where o.due_at > clock_timestamp();
  get diagnostics deliveries = row_count;
  return messages + deliveries;
end;
$$;

comment on function postroad.follow_clock is
$$The server's clock was put back by so much: what waits for a time that was reckoned by the clock before it (retries, snoozes, deliveries to endpoints) is due that much earlier, so that it
waits no longer than it was to. Messages wait on for the time that enqueue was given. Returns how many it moved. Raises PR001 when back is negative.$$;

revoke all on function postroad.follow_clock from public;
grant execute on function postroad.follow_clock to postroad_worker;
