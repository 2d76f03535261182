create or replace function postroad.purge_events(
  retention interval,
  max_count integer default 10000
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before constant timestamptz := clock_timestamp() - retention;
  purged integer;
  total integer := 0;
begin
  perform postroad.need_read_committed();
  if retention < '1 day' then
    raise exception 'retention must be a day at least, got %', retention
      using errcode = 'PR001';
  end if;
  delete from postroad.late_events as e
  where e.ctid = any (array(select x.ctid from postroad.late_events as x where x.occurred_at < before limit max_count));
  get diagnostics purged = row_count;
  total := total + purged;

  -- What was kept since it waited goes when it waits no more and its last event is gone.
  delete from postroad.messages_kept as k
  where k.message_id = any (array(
    select x.message_id
    from postroad.messages_kept as x
    where not exists (select from postroad.scheduled as s where s.message_id = x.message_id)
      and not exists (select from postroad.queue_row_of(x.message_id))
      and x.message_id not in (select u.id from postroad.leases as l, unnest(l.message_ids) as u (id))
      and not exists (select from postroad.late_events as e where e.message_id = x.message_id)
    limit max_count
  ));
  get diagnostics purged = row_count;
  total := total + purged;
  delete from postroad.contents_kept as c
  where not exists (select from postroad.messages_kept as k where k.content_id = c.content_id);
  get diagnostics purged = row_count;
  total := total + purged;

  delete from postroad.system_events as s
  where s.event_id = any (array(select x.event_id from postroad.system_events as x where x.occurred_at < before limit max_count));
  get diagnostics purged = row_count;
  total := total + purged;
  -- What waits for an endpoint that is disabled does not wait for ever.
  delete from postroad.webhook_outbox as o
  where o.delivery_id = any (array(select x.delivery_id from postroad.webhook_outbox as x where x.created_at < before limit max_count));
  get diagnostics purged = row_count;
  total := total + purged;
  delete from postroad.webhook_secrets as s where s.valid_until < clock_timestamp();
  delete from postroad.event_ticks as t where t.at < before;
  delete from postroad.event_minutes as m where m.minute < clock_timestamp() - interval '25 hours';
  delete from postroad.health_log as h where h.changed_at < before;
  return total;
end;
$$;

comment on function postroad.purge_events is
$$Forgets what is older than retention (at least a day) beside the partitions: late events; messages that were kept beyond their day, and their contents, once they wait no more and
have no event left; system events; webhook deliveries; secrets that were replaced. Of each at most max_count a call; returns how many: call it again until it is 0.
Raises PR001 when retention is under a day.$$;

revoke all on function postroad.purge_events from public;
grant execute on function postroad.purge_events to postroad_worker;
