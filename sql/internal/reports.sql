create or replace function postroad.is_report(event jsonb)
returns boolean
language plpgsql
stable
as $$
begin
  perform
  from jsonb_to_recordset(jsonb_build_array(event)) as e (
    message_id uuid, external_id text, event_type text, occurred_at timestamptz, source_key text, reason text, bounce_type text, bounce_class text,
    recipient text, wish text, detail jsonb, tenant_id bigint, is_proven boolean, channel text);
  return true;
exception
  when data_exception then
    return false;
end;
$$;

comment on function postroad.is_report is 'Whether an event can be read at all: an object, with an id and a time that are such.';

create or replace function postroad.leave_out(gateway text, cause text, count bigint, example jsonb)
returns void
language plpgsql
volatile
as $$
declare
  today constant date := (clock_timestamp() at time zone 'UTC')::date;
  -- Enough to find it with the provider and in the inbox, and nobody's address.
  shown constant jsonb := jsonb_strip_nulls(jsonb_build_object(
    'event_type', left(example ->> 'event_type', 100), 'message_id', left(example ->> 'message_id', 100),
    'external_id', left(example ->> 'external_id', 255), 'source_key', left(example ->> 'source_key', 255),
    'occurred_at', left(example ->> 'occurred_at', 100)));
begin
  update postroad.unplaced_events as x
  set events = x.events + leave_out.count, last_at = clock_timestamp(), last_event = shown
  where x.count_id = (
    select y.count_id
    from postroad.unplaced_events as y
    where y.day = today
      and y.gateway = leave_out.gateway
      and y.cause = leave_out.cause
    limit 1
    for update skip locked                       -- a call that counts at the same time has a row of its own
  );
  if not found then
    insert into postroad.unplaced_events (day, gateway, cause, events, last_at, last_event)
    values (today, leave_out.gateway, leave_out.cause, leave_out.count, clock_timestamp(), shown);
  end if;
end;
$$;

comment on function postroad.leave_out is 'Counts events that are not recorded, by cause, and keeps the last as an example, without its recipient. Waits for nobody.';

create or replace function postroad.place_reports(gateway text, events jsonb)
returns jsonb
language plpgsql
volatile
set enable_seqscan = off
set jit = off
as $$
declare
  placed jsonb;
begin
  with given as materialized (
    select g.event, g.nth, g.event ->> 'external_id' as external_id, g.event ->> 'message_id' as message_id, left(g.event ->> 'source_key', 1000) as source_key
    from jsonb_array_elements(events) with ordinality as g (event, nth)
  ), found as materialized (
    select g.*, coalesce(g.message_id, (
      select e.message_id::text
      from postroad.delivery_events as e
      where e.external_id = g.external_id
        and e.event_type = 'sent'
        and e.gateway >= 'ovh' and e.gateway < 'ovi'            -- as the index has it
        and e.gateway = place_reports.gateway
      order by e.occurred_at desc
      limit 1
    )) as found_id
    from given as g
  ), orphan as materialized (
    select f.nth, f.source_key, postroad.uuid_v7() as new_id
    from found as f
    where f.found_id is null
      and f.event ->> 'event_type' = any ('{received,unsubscribed,complained}')
      and f.event ->> 'recipient' <> ''
      and f.event ->> 'is_proven' is distinct from 'false'     -- anybody can say whose complaint it is
  ), kept as (
    insert into postroad.inbound_messages (message_id, gateway, source_key)
    select o.new_id, place_reports.gateway, o.source_key
    from orphan as o
    order by o.source_key
    on conflict do nothing
    returning message_id, source_key
  )
  select jsonb_agg(case
      when f.message_id is not null then f.event
      else jsonb_set(f.event, '{message_id}', coalesce(to_jsonb(coalesce(f.found_id, k.message_id::text, i.message_id::text)), 'null'))
    end order by f.nth)
  into placed
  from found as f
  left join orphan as o on o.nth = f.nth
  left join kept as k on k.message_id = o.new_id or k.source_key = o.source_key
  left join postroad.inbound_messages as i on k.message_id is null and o.nth is not null and i.gateway = place_reports.gateway and i.source_key = o.source_key;
  return placed;
end;
$$;

comment on function postroad.place_reports is
$$Events with the ids of their messages, for those that come without: by the provider's id of it where the gateway gives ours not back (delivery_events_external); what a
person says without any message of ours (received, unsubscribed, complained, with a recipient) gets an id of its own, the same when it is reported again, if it is proven (is_proven).
The rest stays without.$$;
