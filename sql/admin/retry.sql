create or replace function postroad.retry_one(
  message_id uuid,
  statuses   text[] default '{failed,bounced,expired,cancelled,suppressed,unknown}'
)
returns text
language plpgsql
volatile
as $$
declare
  known record;
  later timestamptz;
begin
  perform postroad.need_read_committed();
  perform pg_advisory_xact_lock(1886351220, 3);    -- one at a time: while a second one waited, a worker could claim what the first one queued
  select s.status, s.priority into known from postroad.status(message_id) as s;
  if not found or known.status <> all (statuses) then
    return null;
  end if;
  select m.scheduled_for into later from postroad.record_of(retry_one.message_id) as m where m.scheduled_for > clock_timestamp();
  if found then                                    -- it waits for its time again
    insert into postroad.scheduled (message_id, due_at, priority)
    values (message_id, later, right(known.priority, 1)::smallint)
    on conflict do nothing;
    return case when found then known.status end;
  end if;
  if postroad.queue_again(array[message_id], right(known.priority, 1)::smallint, '{0}', '{0}') = 0 then
    return null;
  end if;
  perform postroad.wake(right(known.priority, 1)::smallint);
  return known.status;
end;
$$;

comment on function postroad.retry_one is 'What retry does with a message of these statuses, without a note of who did it. Returns the status before, or null.';

create or replace function postroad.retry(message_id uuid)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  before constant text := postroad.retry_one(message_id);
begin
  if before is null then
    return false;
  end if;
  perform postroad.audit('retry', message_id::text, jsonb_build_object('status', before), jsonb_build_object('status', (select s.status from postroad.status(retry.message_id) as s)));
  return true;
end;
$$;

comment on function postroad.retry is
$$Queues a message again that failed, bounced, expired, was cancelled, suppressed or is unknown, with all its attempts. Expiry and suppression are checked anew, so fix those
first; one whose scheduled_for is still to come waits for it. False when it is in none of these states.$$;

revoke all on function postroad.retry from public;
grant execute on function postroad.retry to postroad_admin;

create or replace function postroad.retry_failed(
  since     timestamptz default clock_timestamp() - interval '1 day',
  channel   text default null,
  gateway   text default null,
  reason    text default null,
  max_count integer default 10000
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off            -- along the index of what failed, no further than max_count asks for
set jit = off
as $$
declare
  retried integer := 0;
  failed uuid;
begin
  for failed in
    select e.message_id
    from postroad.delivery_events as e, postroad.record_of(e.message_id) as m
    where e.event_type = 'failed'
      and e.occurred_at >= since
      and (retry_failed.channel is null or m.channel = retry_failed.channel)
      and (retry_failed.gateway is null or e.gateway = retry_failed.gateway)
      and (retry_failed.reason is null or e.reason = retry_failed.reason)
    order by e.occurred_at
  loop
    exit when retried >= max_count;
    -- Not what was retried and sent since, or cancelled.
    if postroad.retry_one(failed, '{failed}') is not null then
      retried := retried + 1;
    end if;
  end loop;
  if retried > 0 then
    perform postroad.audit('retry_failed', format('%s messages', retried), null, jsonb_strip_nulls(jsonb_build_object(
      'since', since, 'channel', channel, 'gateway', gateway, 'reason', reason, 'retried', retried)));
  end if;
  return retried;
end;
$$;

comment on function postroad.retry_failed is
$$Queues again what failed since a time (default: the last day) and still is failed, the oldest first, at most max_count (default 10,000), of one channel, gateway or reason if given. Returns how many.$$;

revoke all on function postroad.retry_failed from public;
grant execute on function postroad.retry_failed to postroad_admin;

create or replace function postroad.settle(
  message_id uuid,
  outcome    text
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known record;
begin
  if (outcome = any ('{sent,failed,resend}')) is not true then
    raise exception 'unknown outcome %', coalesce(quote_literal(outcome), 'null')
      using errcode = 'PR002', hint = 'Outcomes: sent, failed, resend.';
  end if;
  perform postroad.need_read_committed();
  perform pg_advisory_xact_lock(1886351220, 3);    -- settled once
  select s.status, s.priority into known from postroad.status(message_id) as s;
  if known.status is distinct from 'unknown' then
    return false;
  end if;
  if outcome = 'resend' then
    if postroad.retry_one(message_id) is null then
      return false;
    end if;
  else
    insert into postroad.delivery_events (message_id, event_type, reason)
    values (message_id, outcome, 'settled');
  end if;
  perform postroad.audit('settle', message_id::text, '{"status": "unknown"}', jsonb_build_object('outcome', outcome));
  return true;
end;
$$;

comment on function postroad.settle is
$$Says what became of a message whose status is unknown: sent, failed, or resend (it is queued again). False when it is not unknown. Raises PR002 for another outcome.$$;

revoke all on function postroad.settle from public;
grant execute on function postroad.settle to postroad_admin;
