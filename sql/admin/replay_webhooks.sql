create or replace function postroad.replay_webhooks(
  gateway     text default null,
  since       timestamptz default clock_timestamp() - interval '1 day',
  only_errors boolean default true,
  max_count   integer default 10000
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  replayed integer;
begin
  if max_count < 1 then
    raise exception 'max_count must be 1 or more, got %', max_count
      using errcode = 'PR001';
  end if;
  perform pg_advisory_xact_lock(1886351220, 4);    -- one at a time: what another one puts back is seen
  with chosen as materialized (
    select i.inbox_id, i.gateway, octet_length(i.body) as size_bytes, x.inbox_id is not null as is_error
    from postroad.webhook_inbox as i
    left join postroad.webhook_errors as x using (inbox_id)
    where (replay_webhooks.gateway is null or i.gateway = replay_webhooks.gateway)
      and i.received_at >= since
      and (x.inbox_id is not null or not only_errors)
      and not exists (
        select from postroad.webhook_batches as b
        where i.inbox_id = any (b.inbox_ids)
      )
    order by i.inbox_id
    limit max_count
  ), forgiven as (
    delete from postroad.webhook_errors as x
    using chosen as c
    where x.inbox_id = c.inbox_id
  ), sized as (
    select c.inbox_id, c.gateway,
      sum(c.size_bytes + 40000) over (partition by c.gateway order by c.inbox_id) / 8000000 as part   -- 200 small ones, or 8 MB
    from chosen as c
  ), batched as (
    insert into postroad.webhook_batches (gateway, is_replay, inbox_ids)
    select s.gateway, true, array_agg(s.inbox_id order by s.inbox_id)
    from sized as s
    group by s.gateway, floor(s.part)
  ), counted as (
    update postroad.webhook_counts as k
    set parsed = k.parsed - g.parsed, errors = k.errors - g.errors
    from (
      select c.gateway, count(*) filter (where not c.is_error) as parsed, count(*) filter (where c.is_error) as errors
      from chosen as c
      group by c.gateway
    ) as g
    where k.gateway = g.gateway
  )
  select count(*) into replayed
  from chosen;
  if replayed > 0 then
    perform postroad.audit('replay_webhooks', format('%s requests', replayed), null, jsonb_strip_nulls(jsonb_build_object(
      'gateway', gateway, 'since', since, 'only_errors', only_errors, 'max_count', max_count, 'replayed', replayed)));
  end if;
  return replayed;
end;
$$;

comment on function postroad.replay_webhooks is
$$Has stored requests read again that came since a time (default: the last day), of one gateway if given: those that could not be read, or all (only_errors false); at most
max_count, the oldest first. Events that are there already stay as they are. Returns how many. Servers read them within some seconds.$$;

revoke all on function postroad.replay_webhooks from public;
grant execute on function postroad.replay_webhooks to postroad_admin;
