create or replace function postroad.purge_webhooks(
  retention interval,
  max_count integer default 1000
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  purged integer;
begin
  with deleted as (
    delete from postroad.webhook_inbox as i
    where i.ctid = any (array(
      select x.ctid
      from postroad.webhook_inbox as x
      where x.received_at < clock_timestamp() - retention
        and not exists (
          select from postroad.webhook_batches as b
          where x.inbox_id = any (b.inbox_ids)       -- nobody has read it yet
        )
      limit max_count
      for update skip locked
    ))
    returning i.inbox_id
  ), forgotten as (
    delete from postroad.webhook_errors as e
    using deleted as d
    where e.inbox_id = d.inbox_id
  )
  select count(*) into purged
  from deleted;
  return purged;
end;
$$;

comment on function postroad.purge_webhooks is
'Deletes requests in the inbox that are older than retention, at most max_count a call; what waits to be read stays. Returns how many.';

revoke all on function postroad.purge_webhooks from public;
grant execute on function postroad.purge_webhooks to postroad_worker;
