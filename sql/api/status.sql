create or replace function postroad.status(
  message_id uuid,
  out id            uuid,
  out status        text,
  out channel       text,
  out priority      text,
  out message_type  text,
  out attempts      integer,
  out created_at    timestamptz,
  out due_at        timestamptz,
  out sent_at       timestamptz,
  out delivered_at  timestamptz,
  out updated_at    timestamptz,
  out gateway       text,
  out external_id   text,
  out reason        text,
  out error         text
)
returns setof record
rows 1
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select s.*
  from postroad.status_of(status.message_id, null) as s;
end;
$$;

comment on function postroad.status is
$$Where a message is: one row, or none when it is not known. status: scheduled (see due_at; infinity: paused), queued, processing, sent, delivered, bounced, failed, cancelled,
expired, suppressed, unknown (it may have gone out, and is held until an event or settle says more). attempts: delivery attempts made. reason: why it was deferred or not sent;
error: the provider's own words, and whether an earlier attempt of what was not sent may have gone out. sent means that the gateway took it, delivered that the recipient's side did.$$;

revoke all on function postroad.status from public;
grant execute on function postroad.status to postroad_sender, postroad_admin, postroad_reader;

create or replace function postroad.status_of(
  message_id uuid,
  in_flight  uuid[],
  out id            uuid,
  out status        text,
  out channel       text,
  out priority      text,
  out message_type  text,
  out attempts      integer,
  out created_at    timestamptz,
  out due_at        timestamptz,
  out sent_at       timestamptz,
  out delivered_at  timestamptz,
  out updated_at    timestamptz,
  out gateway       text,
  out external_id   text,
  out reason        text,
  out error         text
)
returns setof record
rows 1
language plpgsql
stable
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
  message postroad.messages;
  place record;
  outcome postroad.delivery_events;
  said postroad.delivery_events;
  bounce postroad.delivery_events;
  raised text;
  in_doubt_since timestamptz;
begin
  select m.* into message from postroad.record_of(status_of.message_id) as m;
  if not found then
    return;
  end if;
  id := message.message_id;
  channel := message.channel;
  priority := 'P' || message.priority;
  message_type := message.message_type;
  created_at := postroad.created_at(message.message_id);

  select * into place from postroad.place_of(status_of.message_id, status_of.in_flight);
  -- What ended its latest lease (workers make their ids by the clock of the database, and one that was taken for dead reports late), the strongest first; or
  -- what was said of it outside of any lease since.
  select e.* into outcome
  from postroad.delivery_events as e
  where e.message_id = status_of.message_id
    and e.lease_id is not null
    -- Whatever the clocks said: what was put off and then ended did end, and what failed and then went out did go out.
    and not exists (
      select from postroad.delivery_events as x
      where x.message_id = e.message_id
        and x.lease_id is not null
        and x.xid > e.xid
        and (e.event_type = 'deferred' and x.event_type <> 'deferred' or e.event_type = 'failed' and x.event_type = 'sent')
    )
  order by postroad.created_at(e.lease_id) desc, e.lease_id,
    case e.event_type when 'sent' then 1 when 'unknown' then 3 when 'deferred' then 4 else 2 end, e.occurred_at desc
  limit 1;
  if outcome.event_type = 'unknown' then         -- what a gateway says of any time since then settles it; its clock may be behind ours
    in_doubt_since := postroad.created_at(outcome.lease_id) - interval '5 minutes';
  end if;
  select e.* into said
  from postroad.delivery_events as e
  where e.message_id = status_of.message_id
    and e.lease_id is null
    and e.event_type in ('sent', 'failed', 'expired', 'cancelled', 'suppressed')
    and (outcome.event_id is null or e.occurred_at >= outcome.occurred_at
      or e.event_type in ('sent', 'failed') and (e.external_id = outcome.external_id or e.gateway is not null and e.occurred_at >= in_doubt_since))
  order by e.occurred_at desc, e.event_id desc
  limit 1;
  if said.event_id is not null then
    gateway := outcome.gateway;
    external_id := outcome.external_id;
    outcome := said;
    outcome.gateway := coalesce(outcome.gateway, gateway);
    outcome.external_id := coalesce(outcome.external_id, external_id);
  end if;
  select max(e.occurred_at), max(e.occurred_at) filter (where e.event_type = 'sent'),
    max(e.occurred_at) filter (where e.event_type in ('delivered', 'opened', 'clicked')),
    coalesce(max(e.attempt) filter (where e.event_type not in ('expired', 'suppressed', 'cancelled')), 0),
    case                                         -- a bounce counts unless it is of an earlier send, before a retry
      when bool_or(e.lease_id is null and e.event_type = 'bounced' and e.bounce_type is distinct from 'soft'
        and (e.external_id is not distinct from outcome.external_id or not exists (
          select from postroad.delivery_events as x
          where x.message_id = e.message_id
            and x.lease_id <> outcome.lease_id
            and (x.external_id = e.external_id or e.external_id is null and x.event_type in ('sent', 'unknown')))))
        then 'bounced'
      when bool_or(e.event_type in ('delivered', 'opened', 'clicked')) then 'delivered'
      when bool_or(e.lease_id is null and e.gateway is not null and e.occurred_at >= in_doubt_since
        and e.event_type in ('deferred', 'bounced', 'complained', 'unsubscribed')) then 'sent'         -- it had it
    end
  into updated_at, sent_at, delivered_at, attempts, raised
  from postroad.delivery_events as e
  where e.message_id = status_of.message_id;

  due_at := place.due_at;
  gateway := outcome.gateway;
  external_id := outcome.external_id;
  reason := outcome.reason;
  error := outcome.detail ->> 'text';
  updated_at := coalesce(updated_at, created_at);
  status := case
    when place.place is not null then place.place
    when raised = 'delivered' then raised                             -- by an earlier copy too: it is there
    when outcome.event_type in ('sent', 'unknown') and raised is not null then raised
    when outcome.event_type = 'deferred' then 'unknown'               -- a late word of a worker that was taken for dead
    else coalesce(outcome.event_type, 'unknown')
  end;
  if status = 'bounced' and outcome.event_type <> 'bounced' then       -- what took it knew nothing of that
    select e.* into bounce
    from postroad.delivery_events as e
    where e.message_id = status_of.message_id
      and e.lease_id is null
      and e.event_type = 'bounced'
      and e.bounce_type is distinct from 'soft'
    order by e.occurred_at desc, e.event_id desc
    limit 1;
    reason := coalesce(bounce.reason, bounce.detail ->> 'class');
    error := bounce.detail ->> 'text';
  elsif status = 'delivered' and outcome.event_type not in ('sent', 'unknown') then       -- by an earlier copy
    reason := null;
    error := null;
  end if;
  if status in ('failed', 'expired', 'cancelled', 'suppressed') and postroad.may_have_gone_out(message.message_id) then
    error := concat_ws('; ', error, 'an earlier attempt may have gone out');
  end if;
  return next;
end;
$$;

comment on function postroad.status_of is 'postroad.status, which says what it means. in_flight: see place_of.';

create or replace function postroad.place_of(
  message_id uuid,
  in_flight  uuid[] default null,
  out place    text,
  out due_at   timestamptz,
  out pause_id bigint,
  out seq      bigint,
  out attempt  smallint,
  out lease_id uuid,
  out worker_id bigint,
  out leased_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
begin
  select 'queued', q.seq, q.attempt into place, seq, attempt
  from postroad.queue_row_of(place_of.message_id) as q;
  if found then
    return;
  end if;
  select 'scheduled', s.due_at, s.pause_id, s.attempt into place, due_at, pause_id, attempt
  from postroad.scheduled as s
  where s.message_id = place_of.message_id;
  if found then
    return;
  end if;
  if message_id <> all (in_flight) then
    return;
  end if;
  select 'processing', l.lease_id, l.worker_id, l.leased_at into place, lease_id, worker_id, leased_at
  from postroad.leases as l
  where l.message_ids @> array[place_of.message_id]
    and not exists (
      select from postroad.delivery_events as e
      where e.message_id = place_of.message_id
        and e.lease_id = l.lease_id
    );
end;
$$;

comment on function postroad.place_of is
$$Where a message waits: queued, scheduled or processing, or null when it does not. Leases are of many tenants: who asks has found the message's record first. in_flight is for
who asks about many, in one snapshot: in_flight_of them; else each call reads all leases.$$;

create or replace function postroad.in_flight_of(message_ids uuid[])
returns uuid[]
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select array(
    select x.id
    from unnest(in_flight_of.message_ids) as x (id)
    where x.id in (select u.id from postroad.leases as l, unnest(l.message_ids) as u (id))
  )
$$;

comment on function postroad.in_flight_of is 'Those of some messages that are in a lease.';
