create or replace function postroad.explain(message_id uuid)
returns table (
  gate    text,
  verdict text,
  reason  text,
  until   timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  m postroad.messages;
  place record;
  known record;
  last_event postroad.delivery_events;
  pause postroad.pauses;
  ahead bigint;
  queue_floor bigint;
  pools integer;
  suppression postroad.suppression_list;
begin
  gate := 'record';
  select x.* into m from postroad.record_of(explain.message_id) as x;
  if not found then
    verdict := 'stop';
    reason := 'no such message: the transaction that enqueued it did not commit, or its retention is over';
    return next;
    return;
  end if;
  select x.* into place from postroad.place_of(explain.message_id) as x;
  select e.* into last_event
  from postroad.delivery_events as e
  where e.message_id = explain.message_id
  order by e.occurred_at desc, e.event_id desc
  limit 1;
  verdict := 'pass';
  reason := format('%s over %s, P%s, enqueued at %s', m.message_type, m.channel, m.priority, postroad.created_at(m.message_id));
  return next;

  gate := 'outcome';
  if place.place is null then
    select * into known from postroad.status(explain.message_id);
    verdict := case when known.status in ('sent', 'delivered') then 'done' else 'stop' end;
    reason := concat_ws(': ', case when known.updated_at = known.created_at and last_event.event_id is null then 'no trace of it is left' else known.status end,
      nullif(known.reason, known.status));
    if known.status = 'unknown' and last_event.event_id is not null then
      reason := reason || '; it may have gone out: settle(message_id, ''sent'' | ''failed'' | ''resend'')';
    elsif known.status in ('failed', 'expired', 'cancelled', 'suppressed') and postroad.may_have_gone_out(m.message_id) then
      reason := reason || '; an earlier attempt may have gone out';
    end if;
    if last_event.event_type in ('deferred', 'opened', 'clicked', 'converted', 'complained', 'unsubscribed', 'received') then      -- since, which changes nothing about it
      reason := format('%s; last: %s', reason, concat_ws(': ', last_event.event_type, nullif(last_event.reason, last_event.event_type)));
    end if;
    return next;
    return;
  end if;
  verdict := 'pass';
  reason := case
    when last_event.event_id is null then 'no attempt yet'
    else format('%s: %s%s%s', coalesce('attempt ' || last_event.attempt, 'last, not counted as an attempt'), last_event.event_type, coalesce(', ' || last_event.reason, ''),
      coalesce(' by ' || last_event.gateway, ''))
  end;
  return next;

  gate := 'expiry';
  verdict := case when m.expires_at <= clock_timestamp() then 'stop' else 'pass' end;
  reason := case when m.expires_at is null then 'does not expire' when m.expires_at <= clock_timestamp() then 'expired' else 'expires' end;
  until := m.expires_at;
  return next;

  gate := 'suppression';
  select s.* into suppression from postroad.suppression_of(m.channel, m.recipient, m.tenant_id) as s;
  verdict := case when suppression.address is null then 'pass' else 'stop' end;
  reason := case when suppression.address is null then 'not suppressed' else format('suppressed since %s: %s', suppression.created_at, suppression.reason) end;
  until := suppression.expires_at;
  return next;

  gate := 'pause';
  select x.* into pause
  from postroad.pauses as x
  where x.pause_id = place.pause_id
    or x.scope = 'priority' and x.key = 'P' || m.priority
    or x.pause_id = postroad.pause_of(m.channel, m.source_type, m.source_id, m.tenant_id, m.recipient)
  order by x.pause_id
  limit 1;
  verdict := case when found then 'wait' else 'pass' end;
  reason := case when pause.pause_id is null then 'nothing of it is paused'
    else format('%s %s is paused since %s by %s: %s', pause.scope, pause.key, pause.paused_at, pause.paused_by, pause.reason) end;
  until := null;
  return next;

  gate := 'time';
  verdict := case when place.place = 'scheduled' and place.due_at > clock_timestamp() then 'wait' else 'pass' end;
  reason := case
    when place.place <> 'scheduled' then 'due'
    when place.due_at = 'infinity' then 'parked by a pause'
    when place.due_at <= clock_timestamp() then 'due: waits to be promoted, which a running worker or maintainer does'
    when last_event.event_type = 'deferred' then 'waits for its next attempt'
    else 'scheduled'
  end;
  until := case when place.place = 'scheduled' then place.due_at end;
  return next;

  gate := 'workers';
  select count(*) into pools
  from postroad.worker_sessions as w
  where m.priority = any (w.priorities)
    and w.heartbeat_at > clock_timestamp() - interval '15 seconds';
  verdict := case when pools > 0 then 'pass' else 'wait' end;
  reason := case when pools > 0 then format('%s running for P%s', pools, m.priority) else format('no worker runs for P%s: start postroad run', m.priority) end;
  until := null;
  return next;

  if m.priority in (2, 3) then
    gate := 'p1';
    select d.ready into ahead from postroad.queue_depth(1::smallint) as d;
    verdict := case
      when ahead >= 10000 and not exists (select from postroad.pauses as x where x.scope = 'priority' and x.key = 'P1') then 'wait'
      else 'pass'
    end;
    reason := format('%s P1 messages can be sent now; P2 and P3 wait while those of P1 are 10000 or more (a setting of the workers)', ahead);
    return next;
  end if;

  gate := 'gateway';
  select r.verdict, r.reason into verdict, reason from postroad.route_of(m) as r;
  until := null;
  return next;

  if place.place = 'queued' then
    gate := 'queue';
    execute format('select last_value from postroad.queue_floor_p%s', m.priority) into queue_floor;
    execute format(
      'select coalesce(sum(1 + coalesce(cardinality(x.more_ids), 0)), 0)
       from (select q.more_ids from postroad.message_queue_p%s as q where q.seq >= $1 and q.seq < $2 limit 100000) as x', m.priority)
    into ahead using queue_floor, place.seq;
    ahead := ahead + coalesce((select array_position(q.more_ids, m.message_id) from postroad.queue_row_of(m.message_id) as q), 0);
    verdict := case when ahead > 0 then 'wait' else 'pass' end;
    reason := case when ahead >= 100000 then '100000 or more' else ahead::text end || format(' P%s messages go before it', m.priority);
    return next;
  elsif place.place = 'processing' then
    gate := 'lease';
    verdict := 'wait';
    reason := format('a worker has it since %s, lease %s', place.leased_at, place.lease_id);
    return next;
  end if;
end;
$$;

comment on function postroad.explain is
$$Why a message is where it is: each gate in the order in which a message meets it. verdict: pass, wait (see reason and until), stop (it will not be sent) or done.$$;

revoke all on function postroad.explain from public;
grant execute on function postroad.explain to postroad_sender, postroad_admin, postroad_reader;
