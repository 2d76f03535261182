create or replace function postroad.take_webhooks(
  gateways text[],
  min_age  interval
)
returns table (batch_id bigint, gateway text, inbox_id bigint, query text, content_type text, body bytea, received_at timestamptz)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off                         -- a plan that was made when the tables were empty stays
set jit = off
as $$
declare
  taken record;
begin
  select b.batch_id, b.gateway, b.inbox_ids into taken
  from postroad.webhook_batches as b
  where b.gateway = any (gateways)
    and b.created_at not between clock_timestamp() - min_age and clock_timestamp()      -- in the future: the clock was put back since
  order by b.batch_id
  limit 1
  for update skip locked;
  if not found then
    return;
  end if;
  return query
    select taken.batch_id, taken.gateway, i.inbox_id, i.query, i.content_type, i.body, i.received_at
    from postroad.webhook_inbox as i
    where i.inbox_id = any (taken.inbox_ids)
    order by i.inbox_id;
  if not found then                              -- purged meanwhile
    delete from postroad.webhook_batches as b where b.batch_id = taken.batch_id;
  end if;
end;
$$;

comment on function postroad.take_webhooks is
$$The oldest batch of stored requests of these gateways that waits for at least min_age, locked until the end of the transaction, in which finish_webhooks is to be called.
No row when none waits, or others have them all.$$;

revoke all on function postroad.take_webhooks from public;
grant execute on function postroad.take_webhooks to postroad_webhook;

create or replace function postroad.finish_webhooks(
  gateway     text,
  batch_ids   bigint[],
  events      jsonb,
  unread_ids  bigint[],
  unread_why  text[]
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  ended record;
  recorded integer := 0;
begin
  perform
  from postroad.webhook_batches as b
  where b.batch_id = any (batch_ids)
  order by b.batch_id
  for update;
  with deleted as (
    delete from postroad.webhook_batches as b
    where b.batch_id = any (batch_ids)
      and b.gateway = finish_webhooks.gateway
    returning b.inbox_ids, b.is_replay
  )
  select count(*) as batches,
    coalesce(sum(cardinality(d.inbox_ids)), 0) as requests,
    coalesce(sum(cardinality(d.inbox_ids)) filter (where not d.is_replay), 0) as new_requests
  into ended
  from deleted as d;
  if ended.batches <> cardinality(batch_ids) then
    if ended.batches > 0 then
      raise exception 'some of these batches were read by somebody else'
        using errcode = 'serialization_failure';   -- undone: those that are left are taken again
    end if;
    return false;
  end if;
  if jsonb_array_length(events) > 0 then
    recorded := postroad.record_events(gateway, events);
  end if;
  insert into postroad.webhook_errors (inbox_id, error)
  select u.inbox_id, u.error
  from unnest(unread_ids, unread_why) as u (inbox_id, error)
  on conflict on constraint webhook_errors_pkey do update
  set error = excluded.error, failed_at = excluded.failed_at;
  insert into postroad.webhook_counts as c (gateway, stored, parsed, errors, events, last_at)
  values (
    gateway, ended.new_requests, ended.requests - cardinality(unread_ids), cardinality(unread_ids), recorded, clock_timestamp()
  )
  on conflict on constraint webhook_counts_pkey do update
  set stored = c.stored + excluded.stored,
    parsed = c.parsed + excluded.parsed,
    errors = c.errors + excluded.errors,
    events = c.events + excluded.events,
    last_at = excluded.last_at;
  return true;
end;
$$;

comment on function postroad.finish_webhooks is
$$Records the events of stored requests and ends their batches, in one transaction: what was read is read once. Requests that could not be read are given with the reason.
False, and nothing recorded, when others ended these batches; serialization_failure when they ended some of them.$$;

revoke all on function postroad.finish_webhooks from public;
grant execute on function postroad.finish_webhooks to postroad_webhook;

create or replace function postroad.split_webhooks(batch_ids bigint[])
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  split integer;
begin
  with deleted as (
    delete from postroad.webhook_batches as b
    where b.batch_id = any (batch_ids)
    returning b.gateway, b.is_replay, b.created_at, b.inbox_ids
  )
  insert into postroad.webhook_batches (gateway, is_replay, created_at, inbox_ids)
  select d.gateway, d.is_replay, d.created_at, array[u.inbox_id]
  from deleted as d, unnest(d.inbox_ids) as u (inbox_id);
  get diagnostics split = row_count;
  return split;
end;
$$;

comment on function postroad.split_webhooks is
'Makes each request of these batches a batch of its own, so that one whose events cannot be recorded holds back no other. Returns how many.';

revoke all on function postroad.split_webhooks from public;
grant execute on function postroad.split_webhooks to postroad_webhook;
