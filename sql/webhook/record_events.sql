create or replace function postroad.record_events(
  gateway text,
  events  jsonb
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  readable jsonb;
  unreadable bigint;
  example jsonb;
begin
  if jsonb_typeof(events) is distinct from 'array' then
    raise exception 'events must be a JSON array'
      using errcode = 'PR001', hint = 'Such as [{"message_id": "…", "event_type": "delivered", "source_key": "…"}].';
  end if;
  begin
    return postroad.record_reports(gateway, events);
  exception
    when data_exception then                     -- one that cannot be read takes none of the others with it
      select coalesce(jsonb_agg(x.event order by x.nth) filter (where x.is_readable), '[]'), count(*) filter (where not x.is_readable),
        (array_agg(x.event order by x.nth) filter (where not x.is_readable))[1]
      into readable, unreadable, example
      from (
        select e.event, e.nth, postroad.is_report(e.event) as is_readable
        from jsonb_array_elements(events) with ordinality as e (event, nth)
        offset 0
      ) as x;
      if unreadable = 0 then
        raise;
      end if;
      perform postroad.leave_out(gateway, 'malformed', unreadable, example);
      return postroad.record_reports(gateway, readable);
  end;
end;
$$;

comment on function postroad.record_events is
$$Appends what a gateway reported, and does what follows from it: a JSON array of {message_id, external_id, event_type, occurred_at, source_key, reason, bounce_type (hard,
soft), bounce_class, recipient, wish (stop, start, help), detail, tenant_id, is_proven, channel}. All but event_type may be missing; bounce_class is the reason where there is no other.

An event is recorded once for each source_key (the provider's id of it) and recipient. One whose time lies before its message or more than five minutes ahead has the time of
its arrival, the provider's in detail.provider_at. Without message_id the message is found by external_id for gateways whose name begins with ovh, which do not give our id
back. What a person says without any message (received, unsubscribed, complained, with a recipient) is recorded under an id of its own, which has no row in messages.
detail.recipient is whom it is about, where that is not the message's recipient; tenant_id is the tenant of a message whose record is gone, and is detail.tenant_id then.

is_proven false: it came over a way that is open to anybody, and no provider vouches for it. It is recorded only of a message that has a record, is of this channel and
was sent (or is under way), never under an id of its own, and only if it is what others can say of a message (no sent, failed, received, no wish). detail.unproven is true, and what
follows from it does so for the tenant of the message alone.

An event that cannot be recorded is left out and takes no other with it: see left_out_events, cause malformed, unknown_event, unknown_message or unproven.
Suppression follows by suppression_rules; START and HELP by sms. Returns how many events were new.$$;

revoke all on function postroad.record_events from public;
grant execute on function postroad.record_events to postroad_webhook;

create or replace function postroad.record_reports(
  gateway text,
  events  jsonb
)
returns integer
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off        -- planned once a session, perhaps when the tables were small or never analysed
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  event_types constant text[] := '{sent,deferred,delivered,opened,clicked,converted,bounced,complained,unsubscribed,failed,expired,cancelled,suppressed,unknown,received}';
  hearsay constant text[] := '{deferred,delivered,opened,clicked,converted,bounced,complained,unsubscribed}';
  now constant timestamptz := clock_timestamp();
  recorded integer;
  reported integer;
  strange integer;
  unproven integer;
  example jsonb;
  unproven_example jsonb;
  followed_ids uuid[];
  followed_events bigint[];
  struck uuid[];
  helped boolean;
begin
  if jsonb_path_exists(events, '$[*] ? (!exists (@.message_id) || @.message_id == null)') then
    events := postroad.place_reports(gateway, events);
  end if;

  with reported as materialized (
    select e.*
    from jsonb_to_recordset(events) as e (
      message_id uuid, external_id text, event_type text, occurred_at timestamptz, source_key text, reason text, bounce_type text, bounce_class text,
      recipient text, wish text, detail jsonb, tenant_id bigint, is_proven boolean, channel text)
    where e.event_type = any (event_types)
  ), placed as materialized (
    select r.*, coalesce(r.reason, r.bounce_class) as stored_reason,
      r.recipient is not null and lower(r.recipient) is distinct from lower(m.recipient)
        and (position('xn--' in lower(r.recipient)) > 0 and lower(postroad.normalize_email(r.recipient)) = lower(m.recipient)) is not true as is_anothers,
      case when m.message_id is null and k.message_id is null then r.tenant_id end as told_tenant_id,
      case
        when r.occurred_at <= now + interval '5 minutes' and r.occurred_at >= postroad.created_at(r.message_id) - interval '5 minutes' then r.occurred_at
        else now
      end as stored_at,
      case
        when r.is_proven is false then
          r.event_type = any (hearsay) and r.wish is null and coalesce(m.channel, k.channel) = r.channel
            and (
              exists (select from postroad.delivery_events as e where e.message_id = r.message_id and e.event_type in ('sent', 'unknown'))
              or r.message_id in (select u.id from postroad.leases as l, unnest(l.message_ids) as u (id))      -- under way: it may be faster than our own word of it
            )
        -- A message without a record is one whose day is gone, or none of ours.
        else m.message_id is not null or postroad.created_at(r.message_id) < now - interval '1 day' and substr(r.message_id::text, 15, 1) = '7'
          or exists (select from postroad.inbound_messages as i where i.message_id = r.message_id)
      end as is_ours,
      r.event_type = 'delivered' and exists (
        select from postroad.suppression_strikes as t
        where t.address = case m.channel when 'email' then lower(m.recipient) else m.recipient end
          and t.channel = m.channel
      ) as is_struck
    from reported as r
    left join lateral (select m.* from postroad.messages as m where m.message_id = r.message_id offset 0) as m on true
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = r.message_id
  ), added as (
    insert into postroad.delivery_events (message_id, event_type, gateway, external_id, reason, bounce_type, source_key, occurred_at, detail)
    select p.message_id, p.event_type, record_reports.gateway, left(p.external_id, 255), left(p.stored_reason, 100),
      case when p.bounce_type in ('hard', 'soft') then p.bounce_type end,
      case when octet_length(p.source_key) > 255 then 'sha256:' || encode(sha256(convert_to(p.source_key, 'UTF8')), 'hex') else p.source_key end
        || case when p.is_anothers then '#' || left(encode(sha256(convert_to(lower(p.recipient), 'UTF8')), 'hex'), 16) else '' end,
      p.stored_at,
      case
        when not p.is_anothers and p.wish is null and p.is_proven is not false and p.told_tenant_id is null and p.stored_at = p.occurred_at
          and (p.reason is null or p.bounce_class is null or p.reason = p.bounce_class) and (p.detail is null or jsonb_typeof(p.detail) = 'object') then p.detail
        else nullif(case when jsonb_typeof(p.detail) = 'object' then p.detail else jsonb_strip_nulls(jsonb_build_object('text', p.detail)) end
          || jsonb_strip_nulls(jsonb_build_object(
            'recipient', case when p.is_anothers then left(p.recipient, 4096) end,
            'wish', case when p.wish in ('stop', 'start', 'help') then p.wish end,
            'tenant_id', p.told_tenant_id,
            'unproven', case when p.is_proven is false then true end,
            'class', case when p.bounce_class <> p.reason then p.bounce_class end,
            'provider_at', case when p.stored_at <> p.occurred_at then p.occurred_at end)), '{}')
      end
    from placed as p
    where p.is_ours
    order by p.message_id, p.event_type, p.source_key      -- in one order, so that two calls with the same events cannot wait for each other
    on conflict do nothing
    returning event_id, message_id, event_type, detail
  )
  select count(*),
    array_agg(a.message_id) filter (where f.is_followed), array_agg(a.event_id) filter (where f.is_followed),
    bool_or(a.detail ->> 'wish' in ('help', 'start')),
    (select count(*) from reported),
    (select count(*) from placed as p where p.is_ours is not true and p.is_proven is not false),
    (select to_jsonb(p) from placed as p where p.is_ours is not true and p.is_proven is not false limit 1),
    (select count(*) from placed as p where p.is_ours is not true and p.is_proven is false),
    (select to_jsonb(p) from placed as p where p.is_ours is not true and p.is_proven is false limit 1)
  into recorded, followed_ids, followed_events, helped, reported, strange, example, unproven, unproven_example
  from added as a,
    lateral (
      select a.event_type in ('bounced', 'failed', 'complained', 'unsubscribed')
        or a.detail ? 'wish'
        or a.event_type = 'delivered' and a.message_id in (select p.message_id from placed as p where p.is_struck)
    ) as f (is_followed);

  if followed_ids is not null then
    perform postroad.follow_events(followed_ids, followed_events);
  end if;
  if helped then
    perform postroad.answer_wishes(followed_ids, followed_events);
  end if;
  if reported < jsonb_array_length(events) then
    perform postroad.leave_out(gateway, 'unknown_event', jsonb_array_length(events) - reported, (
      select e.event
      from jsonb_array_elements(events) as e (event)
      where (e.event ->> 'event_type' = any (event_types)) is not true
      limit 1
    ));
  end if;
  if strange > 0 then
    perform postroad.leave_out(gateway, 'unknown_message', strange, example);
  end if;
  if unproven > 0 then
    perform postroad.leave_out(gateway, 'unproven', unproven, unproven_example);
  end if;
  return recorded;
end;
$$;

comment on function postroad.record_reports is
'As record_events, of events that can all be read. Raises what a cast raises (class 22) when one cannot.';
