create or replace function postroad.listen_events()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_lock_shared(1886351220, 5);
  listen postroad_events;
end;
$$;

comment on function postroad.listen_events is
$$Listens on postroad_events, and says so: without a listener nobody looks whether there is something to notify of. A notification comes within some 300 ms of a commit, without a
payload, while a maintainer runs; then call read_events. For as long as the session lasts; call it once a session, not through a pooler of transactions.$$;

revoke all on function postroad.listen_events from public;
grant execute on function postroad.listen_events to postroad_consumer;
