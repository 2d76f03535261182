create or replace function postroad.suppression_rank(reason text)
returns integer
language sql
immutable parallel safe
as $$
  select case reason
    when 'soft_bounce' then 0
    when 'stop' then 1 when 'opted_out' then 1
    when 'hard_bounce' then 2 when 'invalid_token' then 2 when 'unsubscribe' then 2
    when 'complaint' then 4
    when 'legal' then 5
    else 3
  end
$$;

comment on function postroad.suppression_rank is
'Which of two reasons stays on an entry: the higher one. A START takes back what is 1; manual, and a reason of an operator''s own, is 3.';

create or replace function postroad.put_suppressions(
  addresses    text[],
  channels     text[],
  tenant_ids   bigint[],
  reasons      text[],
  expiries     timestamptz[],
  sources      text[],
  since        timestamptz[] default '{}',
  event_ids    bigint[] default '{}',
  message_ids  uuid[] default '{}',
  is_told      boolean default true
)
returns integer
language plpgsql
volatile
as $$
declare
  now constant timestamptz := clock_timestamp();
  changed integer;
  told jsonb[];
begin
  with entry as (
    insert into postroad.suppression_list as s (address, channel, tenant_id, reason, expires_at, source, created_at, event_id, message_id)
    select distinct on (u.address, u.channel, u.tenant_id)    -- in one order, so that two calls at a time cannot wait for each other
      u.address, u.channel, u.tenant_id, u.reason, u.expires_at, u.source, coalesce(u.since, now), u.event_id, u.message_id
    from unnest(addresses, channels, tenant_ids, reasons, expiries, sources, since, event_ids, message_ids)
      as u (address, channel, tenant_id, reason, expires_at, source, since, event_id, message_id)
    order by u.address, u.channel, u.tenant_id, u.expires_at desc nulls first, postroad.suppression_rank(u.reason) desc, u.since desc
    on conflict on constraint suppression_list_is_unique do update
    set (reason, source, event_id, message_id) = (
        select k.reason, k.source, k.event_id, k.message_id
        from (values
          (excluded.reason, excluded.source, excluded.event_id, excluded.message_id,
            s.expires_at <= now or postroad.suppression_rank(excluded.reason) >= postroad.suppression_rank(s.reason)),
          (s.reason, s.source, s.event_id, s.message_id, true)
        ) as k (reason, source, event_id, message_id, is_stronger)
        where k.is_stronger
        limit 1
      ),
      created_at = excluded.created_at,
      expires_at = case when s.expires_at <= now then excluded.expires_at
        when s.expires_at is not null and excluded.expires_at is not null then greatest(s.expires_at, excluded.expires_at) end
    where s.expires_at < coalesce(excluded.expires_at, 'infinity')
      or postroad.suppression_rank(excluded.reason) > postroad.suppression_rank(s.reason)
      or excluded.created_at > s.created_at and excluded.event_id is not null and excluded.reason = s.reason
    returning s.*
  )
  select count(*), array_agg(jsonb_strip_nulls(to_jsonb(e))) filter (where is_told)
  into changed, told
  from entry as e;
  if told is not null then
    perform postroad.emit_system_event('suppression_added', coalesce(u.entry ->> 'channel', 'all'), u.entry)
    from unnest(told) as u (entry);
  end if;
  return changed;
end;
$$;

comment on function postroad.put_suppressions is
$$Puts addresses, spelled as the list keeps them, on the suppression list; one element of each array an entry (an array that is null throughout may be empty). An entry that is
there is never shortened, and keeps the stronger of the two reasons (suppression_rank); one that has expired is replaced. A later event with the same reason renews since when.
Each new or changed entry is a system event suppression_added, unless is_told is false. Returns how many they are.$$;

create or replace function postroad.addressee_of(
  event      postroad.delivery_events,
  channel    text,
  recipient  text,
  options    jsonb,
  content_id uuid
)
returns text
language plpgsql
stable
set enable_seqscan = off
set jit = off
as $$
declare
  named constant text := regexp_replace(event.detail ->> 'recipient', '^.*<([^<>]*)>\s*$', '\1');
  told constant text := postroad.suppression_key(channel, postroad.normalize_recipient(channel, named));
  own constant text := postroad.suppression_key(channel, recipient);
  copies text[];
begin
  if told is null or told = own or own is null then
    return coalesce(told, own);
  elsif event.event_type = 'received' then
    return told;                                 -- whoever wrote to us
  elsif channel <> 'email' then
    return own;
  end if;
  copies := array(
    select postroad.suppression_key('email', postroad.normalize_email(regexp_replace(a.address, '^.*<([^<>]*)>\s*$', '\1')))
    from (
      select addressee_of.options
      union all
      select c.options from postroad.contents as c where c.content_id = addressee_of.content_id
      union all
      select k.options from postroad.contents_kept as k where k.content_id = addressee_of.content_id
    ) as o (options),
      jsonb_array_elements_text(coalesce(o.options -> 'cc', '[]') || coalesce(o.options -> 'bcc', '[]')) as a (address)
  );
  return case
    when told = any (copies) then told
    when cardinality(copies) = 0 then own
  end;
end;
$$;

comment on function postroad.addressee_of is
$$Whom an event of a message is about, as the suppression list writes it. Another address than those that the message went to is not believed: a mail server can write any
address into its bounce. It stands for the recipient if the message had no other (a forwarder does so); of several, none can be told: null.$$;

create or replace function postroad.follow_events(
  message_ids uuid[],
  event_ids   bigint[],
  lease_ids   uuid[] default null
)
returns void
language plpgsql
volatile
set enable_seqscan = off
set jit = off
as $$
declare
  now constant timestamptz := clock_timestamp();
  addresses text[];
  channels text[];
  tenant_ids bigint[];
  reasons text[];
  sources text[];
  times timestamptz[];
  events bigint[];
  messages uuid[];
  unproven boolean[];
begin
  with event as materialized (
    select e as row, e.event_id, e.message_id, e.event_type, e.occurred_at, e.gateway, e.bounce_type, e.detail,
      coalesce(e.detail ->> 'class', e.reason) as class,
      e.reason, e.lease_id is not null as is_send, coalesce(e.detail ? 'unproven', false) as is_unproven,
      coalesce(m.message_id, k.message_id) is not null as is_known,
      coalesce(m.channel, k.channel, case when e.detail ->> 'recipient' like '%@%' then 'email' else 'sms' end) as channel,
      case
        when m.message_id is not null then m.tenant_id
        when k.message_id is not null then k.tenant_id
        when postroad.is_bigint(e.detail ->> 'tenant_id') then (e.detail ->> 'tenant_id')::bigint
      end as tenant_id,
      coalesce(m.recipient, k.recipient) as recipient,
      coalesce(m.options, k.options) as options,
      coalesce(m.content_id, k.content_id) as content_id
    from postroad.delivery_events as e
    left join lateral (select m.* from postroad.messages as m where m.message_id = e.message_id offset 0) as m on true
    left join postroad.messages_kept as k on m.message_id is null and k.message_id = e.message_id
    where e.message_id = any (follow_events.message_ids)
      and (e.event_id = any (follow_events.event_ids) or e.event_type = 'bounced' and e.lease_id = any (follow_events.lease_ids))
  ), judged as (
    select e.*,
      case
        when e.detail ->> 'wish' = 'stop' then 'stop'
        when e.detail ->> 'wish' = 'start' then 'start'
        when e.event_type = 'unsubscribed' then case when e.channel = 'sms' then 'stop' else 'unsubscribe' end
        when e.event_type = 'complained' then 'complaint'
        when e.event_type = 'delivered' then 'delivered'
        when e.event_type not in ('bounced', 'failed') then null
        when e.channel in ('sms', 'voice') and e.reason in ('opted_out', 'unsubscribed') then 'opted_out'
        when e.is_send and e.reason in ('address_not_public', 'smtputf8_required') then null      -- faults of our own set-up
        when not e.is_send and (e.class = any ('{invalid_recipient,mailbox_full,mailbox_unavailable}')) is not true then null
        when e.bounce_type = 'hard' then case when e.channel = 'push' then 'invalid_token' else 'hard_bounce' end
        when e.bounce_type = 'soft' then 'soft_bounce'
      end as verdict
    from event as e
  )
  select array_agg(x.address), array_agg(x.channel), array_agg(x.tenant_id), array_agg(x.verdict), array_agg(x.gateway), array_agg(x.occurred_at),
    array_agg(x.event_id), array_agg(x.message_id), array_agg(x.is_unproven)
  into addresses, channels, tenant_ids, reasons, sources, times, events, messages, unproven
  from (
    select j.*, postroad.addressee_of(j.row, j.channel, j.recipient, j.options, j.content_id) as address
    from judged as j
    where j.verdict is not null
    offset 0
  ) as x
  where octet_length(x.address) <= 2600;         -- a longer one no index takes: nobody can be suppressed by it
  if addresses is null then
    return;
  end if;

  if 'delivered' = any (reasons) then
    delete from postroad.suppression_strikes as t
    using unnest(addresses, channels, tenant_ids, reasons, times, unproven) as u (address, channel, tenant_id, verdict, occurred_at, is_unproven)
    where u.verdict = 'delivered'
      and t.address = u.address
      and t.channel = u.channel
      and split_part(t.reason, '@', 1) in ('soft_bounce', 'hard_bounce')
      and (not u.is_unproven or u.tenant_id is null or split_part(t.reason, '@', 2) = u.tenant_id::text)
      and t.occurred_at < u.occurred_at;
  end if;

  if 'start' = any (reasons) then
    delete from postroad.suppression_list as s
    using unnest(addresses, channels, reasons, times) as u (address, channel, verdict, occurred_at)
    where u.verdict = 'start'
      and s.address = u.address
      and s.reason in ('stop', 'opted_out')
      and (s.channel is null or s.channel = u.channel)
      and s.created_at <= u.occurred_at;         -- not a STOP that came after it
  end if;

  -- What nobody vouches for counts for its own tenant, as soft_bounce@5.
  insert into postroad.suppression_strikes (address, channel, reason, message_id, occurred_at)
  select u.address, u.channel, u.verdict || coalesce('@' || case when u.is_unproven then u.tenant_id end, ''), u.message_id, u.occurred_at
  from unnest(addresses, channels, tenant_ids, reasons, messages, times, unproven) as u (address, channel, tenant_id, verdict, message_id, occurred_at, is_unproven)
  join postroad.suppression_rules as r on r.reason = u.verdict and r.is_on and r.after > 1
  order by 1, 2, 3, 4
  on conflict do nothing;

  perform postroad.put_suppressions(
    array_agg(u.address), array_agg(case when not r.every_channel then u.channel end), array_agg(s.tenant_id),
    array_agg(u.verdict), array_agg(now + r.expires_after), array_agg(u.source), array_agg(u.occurred_at), array_agg(u.event_id), array_agg(u.message_id))
  from unnest(addresses, channels, tenant_ids, reasons, sources, times, events, messages, unproven)
    as u (address, channel, tenant_id, verdict, source, occurred_at, event_id, message_id, is_unproven)
  join postroad.suppression_rules as r on r.reason = u.verdict and r.is_on
  cross join lateral (select case when u.is_unproven or not r.every_tenant then u.tenant_id end) as s (tenant_id)
  where not exists (                             -- of the two wishes of one number in one call, the later one counts
      select from unnest(addresses, reasons, times) as x (address, verdict, occurred_at)
      where u.verdict = 'stop' and x.verdict = 'start' and x.address = u.address and x.occurred_at > u.occurred_at
    )
    and (r.after = 1 or r.after <= (
      select count(distinct t.message_id)
      from postroad.suppression_strikes as t
      where t.address = u.address
        and t.channel = u.channel
        and t.reason = any (array[u.verdict, u.verdict || '@' || s.tenant_id])
        and (r.within is null or t.occurred_at > now - r.within)
    ));
end;
$$;

comment on function postroad.follow_events is
$$What follows from events that are recorded, for their recipients: suppression by suppression_rules, its end by a START, a new count after a delivery. The events are those
with event_ids, and the bounces of lease_ids, all of message_ids. Only the recipient's own faults count (class invalid_recipient, mailbox_full, mailbox_unavailable), and what
people say: complaints, unsubscriptions, STOP. What is unproven (see record_events) counts for the tenant of its message, whatever the rule says. May be called twice for the same events.$$;

create or replace function postroad.follow_bounces(
  message_ids uuid[],
  lease_ids   uuid[]
)
returns void
language plpgsql
volatile
set lock_timeout = '200ms'
as $$
begin
  perform postroad.follow_events(message_ids, null, lease_ids);
exception
  when others then
    raise warning 'the recipients of % bounces are not suppressed: %', cardinality(message_ids), sqlstate
      using hint = 'What they bounced with is recorded; the next bounce of each counts again.';
end;
$$;

comment on function postroad.follow_bounces is
$$What follows from the bounces that a completion records, if that can be done at once: outcomes wait for nobody who holds an entry of the suppression list in an open
transaction, and nothing about a recipient undoes them. Else a warning in the server's log has the SQLSTATE.$$;

-- Kept before A-labels were read as what they stand for.
update postroad.suppression_list as s
set address = n.address
from (
  select o.address as was, postroad.suppression_key('email', postroad.normalize_email(o.address)) as address
  from postroad.suppression_list as o
  where position('xn--' in o.address) > 0
) as n
where s.address = n.was
  and n.address <> n.was
  and not exists (
    select from postroad.suppression_list as o
    where o.address = n.address
      and o.channel is not distinct from s.channel
      and o.tenant_id is not distinct from s.tenant_id
  );
