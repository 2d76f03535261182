create or replace function postroad.purge_idempotency_keys(max_count integer default 10000)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  purged integer;
begin
  delete from postroad.idempotency_keys as k
  where k.ctid = any (array(
    select x.ctid
    from postroad.idempotency_keys as x
    where x.created_at < clock_timestamp() - interval '7 days'
    limit max_count
    for update skip locked
  ));
  get diagnostics purged = row_count;
  delete from postroad.http_idempotency as k
  where k.ctid = any (array(
    select x.ctid
    from postroad.http_idempotency as x
    where x.created_at < clock_timestamp() - interval '24 hours'
    limit max_count
    for update skip locked
  ));
  return purged;
end;
$$;

comment on function postroad.purge_idempotency_keys is
'Forgets idempotency keys older than 7 days, at most max_count a call, and those of the HTTP API after 24 hours. Returns how many of the first.';

revoke all on function postroad.purge_idempotency_keys from public;
grant execute on function postroad.purge_idempotency_keys to postroad_worker;
