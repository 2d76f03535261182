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
declare
  message postroad.messages;
  place record;
  outcome postroad.delivery_events;
  raised text;
begin
  select m.* into message from postroad.record_of(status.message_id) as m;
  if not found then
    return;
  end if;
  id := message.message_id;
  channel := message.channel;
  priority := 'P' || message.priority;
  message_type := message.message_type;
  created_at := postroad.created_at(message.message_id);

  select * into place from postroad.place_of(status.message_id);
  -- What ended its latest lease, or what was said of it outside of any. A late sent beside an unknown of the same lease wins.
  select e.* into outcome
  from postroad.delivery_events as e
  where e.message_id = status.message_id
    and (e.lease_id is not null or e.event_type in ('sent', 'failed', 'expired', 'cancelled', 'suppressed'))
  order by (e.lease_id is not null and e.event_type = 'unknown' and exists (
      select from postroad.delivery_events as s
      where s.message_id = e.message_id and s.lease_id = e.lease_id and s.event_type = 'sent')),
    e.occurred_at desc, e.event_id desc
  limit 1;
  select max(e.occurred_at), max(e.occurred_at) filter (where e.event_type = 'sent'),
    max(e.occurred_at) filter (where e.event_type in ('delivered', 'opened', 'clicked')),
    coalesce(max(e.attempt), 0),
    case
      when bool_or(e.lease_id is null and e.event_type = 'bounced' and e.bounce_type is distinct from 'soft') then 'bounced'
      when bool_or(e.event_type in ('delivered', 'opened', 'clicked')) then 'delivered'
    end
  into updated_at, sent_at, delivered_at, attempts, raised
  from postroad.delivery_events as e
  where e.message_id = status.message_id;

  due_at := place.due_at;
  gateway := outcome.gateway;
  external_id := outcome.external_id;
  reason := outcome.reason;
  error := outcome.detail ->> 'text';
  updated_at := coalesce(updated_at, created_at);
  status := case
    when place.place is not null then place.place
    when outcome.event_type in ('sent', 'unknown') and raised is not null then raised
    when outcome.event_type = 'deferred' then 'queued'                -- between two places, within a transaction of ours
    else coalesce(outcome.event_type, 'unknown')
  end;
  return next;
end;
$$;

comment on function postroad.status is
$$Where a message is: one row, or none when it is not known. status: scheduled (see due_at; infinity: paused), queued, processing, sent, delivered, bounced, failed, cancelled,
expired, suppressed, unknown (it may have gone out, and is held: see settle). attempts: delivery attempts made. reason: why it was deferred or not sent;
error: the provider's own words. sent means that the gateway took it, delivered that the recipient's side did.$$;

revoke all on function postroad.status from public;
grant execute on function postroad.status to postroad_sender, postroad_admin, postroad_reader;

create or replace function postroad.place_of(
  message_id uuid,
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
as $$
begin
  select 'queued', q.seq, q.attempt into place, seq, attempt
  from postroad.message_queue as q
  where q.message_id = place_of.message_id;
  if found then
    return;
  end if;
  select 'scheduled', s.due_at, s.pause_id, s.attempt into place, due_at, pause_id, attempt
  from postroad.scheduled as s
  where s.message_id = place_of.message_id;
  if found then
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

comment on function postroad.place_of is 'Where a message waits: queued, scheduled or processing, or null when it does not.';
