create or replace function postroad.dispatch_events(max_count integer default 2000)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
set max_parallel_workers_per_gather = 0
set timezone = 'UTC'
as $$
declare
  reader postroad.consumers;
  batch integer;
begin
  if not postroad.has_news('_webhooks') then
    return 0;                                    -- or no endpoint yet
  end if;
  perform from postroad.consumers as c where c.consumer = '_webhooks' for update skip locked;
  if not found then
    return 0;                                    -- another process is at it
  end if;
  if not exists (select from postroad.webhook_endpoints as e where e.disabled_at is null) then
    update postroad.consumers as c               -- nobody wants what happens now
    set seen = postroad.event_snapshot(), seen_at = clock_timestamp(), upto = null, upto_at = null, at_xid = null, at_key = null, batch_xid = null,
      batch_key = null, split_last = null
    where c.consumer = '_webhooks'
      and c.seen_at not between clock_timestamp() - interval '1 second' and clock_timestamp();
    return 0;
  end if;
  select b.* into reader from postroad.open_batch('_webhooks', max_count) as b;
  if reader.batch_xid is null then
    return 0;
  end if;
  with event as materialized (
    select i.xid, i.key, i.event_id, i.occurred_at, case when i.message_id is null then i.event_type else 'message.' || i.event_type end as event_type,
      i.message_id, i.subject, i.attempt, i.gateway, i.external_id, i.reason, i.bounce_type, i.detail
    from postroad.events_in(reader) as i
  ), posted as (
    insert into postroad.webhook_outbox (endpoint_id, webhook_id, event_type, payload)
    select p.endpoint_id, 'evt_' || p.endpoint_id || '_' || coalesce(e.event_id::text, replace(e.message_id::text, '-', '')), e.event_type,
      jsonb_build_object(
        'type', e.event_type,
        'timestamp', to_char(e.occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'data', case
          when e.message_id is null then jsonb_strip_nulls(jsonb_build_object(
            'subject', e.subject,
            'detail', case when p.include_addresses then e.detail else e.detail - 'address' end))
          else jsonb_strip_nulls(jsonb_build_object(
            'message_id', e.message_id, 'channel', m.channel, 'message_type', m.message_type, 'tenant_id', m.tenant_id,
            'recipient_type', m.recipient_type, 'recipient_id', m.recipient_id, 'source_type', m.source_type, 'source_id', m.source_id,
            'attempt', e.attempt, 'gateway', e.gateway, 'external_id', e.external_id, 'reason', e.reason, 'bounce_type', e.bounce_type,
            'recipient', case when p.include_addresses then m.recipient end))
        end)::text
    from event as e
    left join lateral postroad.record_of(e.message_id) as m on true
    join postroad.webhook_endpoints as p
      on p.disabled_at is null
      and (e.event_type = any (p.event_types) or split_part(e.event_type, '.', 1) || '.*' = any (p.event_types))
      and (p.channels is null or e.message_id is null or m.channel = any (p.channels))
      and (p.tenant_id is null
        or p.tenant_id = case when e.message_id is not null then m.tenant_id when e.detail ->> 'tenant_id' ~ '^-?[0-9]{1,18}$' then (e.detail ->> 'tenant_id')::bigint end)
    order by e.xid, e.key, e.event_id nulls first
  )
  select count(*) into batch from event as e;
  perform postroad.close_batch(reader);
  return batch;
end;
$$;

comment on function postroad.dispatch_events is
$$Reads the next events, at most max_count, and puts one row into webhook_outbox for each endpoint that wants them, in one transaction. Returns how many events it read: call
it again until it is 0. Several processes may call it: one at a time works.$$;

revoke all on function postroad.dispatch_events from public;
grant execute on function postroad.dispatch_events to postroad_worker;

create or replace function postroad.claim_webhooks(
  max_each integer,
  busy     bigint[],
  hold     interval default '1 minute',
  known    bigint[] default '{}',
  after    timestamptz[] default '{}'
)
returns table (
  delivery_id bigint,
  endpoint_id bigint,
  url         text,
  secrets     text[],
  webhook_id  text,
  payload     text,
  attempts    smallint,
  reached     timestamptz
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
#variable_conflict use_column
begin
  return query
  with due as materialized (
    select d.delivery_id, least(d.due_at, clock_timestamp() - interval '2 seconds') as reached
    from postroad.webhook_endpoints as e,
      lateral (
        select o.delivery_id, o.due_at
        from postroad.webhook_outbox as o
        where o.endpoint_id = e.endpoint_id
          and o.due_at >= coalesce((select max(k.at) from unnest(known, after) as k (id, at) where k.id = e.endpoint_id), '-infinity')
          and o.due_at <= clock_timestamp()
        order by o.due_at, o.delivery_id
        -- One that fails gets one request at a time: it is asked, not stormed.
        limit greatest(case when e.failing_since is null then max_each else least(max_each, 1) end
          - (select count(*) from unnest(busy) as b (id) where b.id = e.endpoint_id), 0)
        for update skip locked
      ) as d
    where e.disabled_at is null
  ), taken as (
    update postroad.webhook_outbox as o
    set due_at = clock_timestamp() + hold
    where o.delivery_id = any (array(select d.delivery_id from due as d))      -- no join: of what is posted already there may be millions
    returning o.delivery_id, o.endpoint_id, o.webhook_id, o.payload, o.attempts
  )
  select t.delivery_id, t.endpoint_id, e.url,
    array(
      select s.secret
      from postroad.webhook_secrets as s
      where s.endpoint_id = e.endpoint_id
        and (s.valid_until is null or s.valid_until > clock_timestamp())
      order by s.valid_until desc nulls first
    ),
    t.webhook_id, t.payload, t.attempts, d.reached
  from taken as t
  join due as d using (delivery_id)
  join postroad.webhook_endpoints as e using (endpoint_id)
  order by t.delivery_id;
end;
$$;

comment on function postroad.claim_webhooks is
$$Takes deliveries that are due, at most max_each of an endpoint less those that the caller has under way (busy: an endpoint id for each), of an endpoint that fails one. They are due
again after hold: what a process that dies had taken is posted by another one.
Of the endpoints in known it looks from the times in after on, as of promote_due: dead versions before, which a held snapshot keeps, are passed once. reached is where to look from next time,
two seconds ago at the latest, since due times are not committed in order; some come later still: start over without them now and then.$$;

revoke all on function postroad.claim_webhooks from public;
grant execute on function postroad.claim_webhooks to postroad_worker;

create or replace function postroad.complete_webhook(
  delivery_id   bigint,
  status        integer,
  error         text,
  retry_seconds double precision,
  disable_after interval default '5 days'
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  succeeded constant boolean := error is null;
  endpoint postroad.webhook_endpoints;
  why text;
begin
  update postroad.webhook_outbox as o
  set attempts = o.attempts + 1, last_status = status, last_error = error,
    due_at = case when not succeeded then clock_timestamp() + make_interval(secs => retry_seconds) end,
    finished_at = case when succeeded or retry_seconds is null then clock_timestamp() end
  where o.delivery_id = complete_webhook.delivery_id
    and o.finished_at is null;
  if not found then
    return;                                      -- recorded already, or the endpoint is gone
  end if;
  select e.* into endpoint
  from postroad.webhook_endpoints as e
  where e.endpoint_id = (select o.endpoint_id from postroad.webhook_outbox as o where o.delivery_id = complete_webhook.delivery_id);
  if succeeded then
    -- The time of each success is not worth a row version.
    if endpoint.failing_since is not null or endpoint.last_success_at is null or endpoint.last_success_at < clock_timestamp() - interval '10 seconds' then
      update postroad.webhook_endpoints as e
      set failing_since = null, last_success_at = clock_timestamp()
      where e.endpoint_id = endpoint.endpoint_id;
    end if;
    return;
  end if;
  why := case
    when status = 410 then 'gone'
    when endpoint.failing_since < clock_timestamp() - disable_after then 'failing'
  end;
  update postroad.webhook_endpoints as e
  set failing_since = coalesce(e.failing_since, clock_timestamp()), last_failure_at = clock_timestamp(), last_failure = error,
    disabled_at = case when why is not null then clock_timestamp() end, disabled_reason = why
  where e.endpoint_id = endpoint.endpoint_id
    and e.disabled_at is null;
  if found and why is not null then
    perform postroad.emit_system_event('endpoint_disabled', endpoint.endpoint_id::text, jsonb_strip_nulls(jsonb_build_object(
      'reason', why, 'failing_since', endpoint.failing_since, 'tenant_id', endpoint.tenant_id)));
  end if;
end;
$$;

comment on function postroad.complete_webhook is
$$Records an attempt: status is that of the answer, if there was one; error null is a success; retry_seconds: when it is tried again, null for never. 410 disables the endpoint at once,
and so does a failure when nothing has succeeded for disable_after: a system event says so. Recorded twice, it counts once.$$;

revoke all on function postroad.complete_webhook from public;
grant execute on function postroad.complete_webhook to postroad_worker;
