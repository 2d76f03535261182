create or replace function postroad.notice_events(since text)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  upto constant txid_snapshot := postroad.event_snapshot();
  seen constant txid_snapshot := since::txid_snapshot;
begin
  if pg_try_advisory_xact_lock(1886351220, 5) then       -- nobody listens
    return upto;
  end if;
  if seen is not null and postroad.has_events(seen, upto, '{*,system.*}') then
    notify postroad_events;
  end if;
  return upto;
end;
$$;

comment on function postroad.notice_events is
$$Notifies those who listen_events when there are events since a snapshot (null: none), and returns the snapshot from which to look next. So no transaction that writes events
waits for a notification.$$;

revoke all on function postroad.notice_events from public;
grant execute on function postroad.notice_events to postroad_worker;
