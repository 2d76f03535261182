create or replace function postroad.read_events(
  consumer text,
  "limit"  integer default 1000
)
returns table (
  batch_id       bigint,
  event_id       bigint,
  event_type     text,
  occurred_at    timestamptz,
  message_id     uuid,
  channel        text,
  message_type   text,
  tenant_id      bigint,
  recipient_type text,
  recipient_id   bigint,
  source_type    text,
  source_id      bigint,
  attempt        smallint,
  gateway        text,
  external_id    text,
  reason         text,
  bounce_type    text,
  subject        text,
  detail         jsonb
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  reader postroad.consumers;
begin
  if ("limit" between 1 and 100000) is not true then
    raise exception 'limit must be from 1 to 100000, got %', coalesce("limit"::text, 'null')
      using errcode = 'PR001';
  end if;
  if consumer ^@ '_' then
    raise exception 'consumer % is our own', quote_literal(consumer)
      using errcode = 'PR001';
  end if;
  perform postroad.check_consumer_owner(c.consumer, c.registered_by)
  from postroad.consumers as c
  where c.consumer = read_events.consumer;
  select b.* into reader from postroad.open_batch(read_events.consumer, "limit") as b;
  if reader.consumer is null then
    raise exception 'no consumer %', coalesce(quote_literal(read_events.consumer), 'null')
      using errcode = 'PR002', hint = 'Register it first: select postroad.register_consumer(''billing'').';
  end if;
  if reader.batch_xid is null then
    return;
  end if;
  return query
  select reader.batch_id, e.event_id, e.event_type, e.occurred_at, e.message_id, coalesce(m.channel, k.channel), coalesce(m.message_type, k.message_type),
    coalesce(m.tenant_id, k.tenant_id), coalesce(m.recipient_type, k.recipient_type), coalesce(m.recipient_id, k.recipient_id),
    coalesce(m.source_type, k.source_type), coalesce(m.source_id, k.source_id), e.attempt, e.gateway, e.external_id, e.reason, e.bounce_type,
    e.subject,
    case
      when e.message_id is null then e.detail - 'address'
      when e.event_type = 'received' then e.detail           -- who wrote to us
      else nullif(e.detail - 'recipient', '{}')
    end
  from postroad.events_in(reader) as e
  left join lateral (select m.* from postroad.messages as m where m.message_id = e.message_id offset 0) as m on true
  left join postroad.messages_kept as k on m.message_id is null and k.message_id = e.message_id
  order by e.xid, e.key, e.event_id nulls first;
end;
$$;

comment on function postroad.read_events is
$$The next batch of events for a consumer, at most limit of them (1 to 100,000; default 1,000; all events that one transaction wrote of one message stay together). Call ack_events
with its batch_id once they are dealt with: until then each call returns the same batch, so that a crash loses nothing. Nothing is skipped, though transactions commit in another
order than they write; what a transaction that is still open writes comes after its commit. Order: by transaction, within it by message. No row: nothing new.

event_type is queued (the message was enqueued; event_id is null), sent, deferred, delivered, opened, clicked, converted, bounced, complained, unsubscribed, failed, expired,
cancelled, suppressed, unknown, received; or system.<kind>, with subject and detail instead of a message. No column names a
recipient by address; detail.recipient of received is its sender, and detail.text is in the words of a provider, which may. Raises PR001 (limit), PR002 (not registered), 42501
(insufficient_privilege: registered by another, see register_consumer) and PR011 (its position is of another server).$$;

revoke all on function postroad.read_events from public;
grant execute on function postroad.read_events to postroad_consumer, postroad_admin;

create or replace function postroad.ack_events(
  consumer text,
  batch_id bigint
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  reader postroad.consumers;
begin
  select c.* into reader
  from postroad.consumers as c
  where c.consumer = ack_events.consumer
    and c.consumer !~ '^_'
  for update;
  if reader.consumer is null then
    raise exception 'no consumer %', coalesce(quote_literal(ack_events.consumer), 'null')
      using errcode = 'PR002', hint = 'Register it first: select postroad.register_consumer(''billing'').';
  end if;
  perform postroad.check_consumer_owner(reader.consumer, reader.registered_by);
  if (ack_events.batch_id between 1 and reader.batch_id) is not true then
    raise exception 'consumer % has read no batch %', quote_literal(consumer), coalesce(ack_events.batch_id::text, 'null')
      using errcode = 'PR001', hint = 'batch_id is a column of read_events.';
  end if;
  if reader.batch_xid is null or ack_events.batch_id < reader.batch_id then
    return false;
  end if;
  perform postroad.close_batch(reader);
  return true;
end;
$$;

comment on function postroad.ack_events is
$$Says that a batch was dealt with: the next read_events goes on behind it. In the transaction that deals with it, each event is dealt with exactly once. False when it was
acknowledged before. Raises PR001 (no such batch), PR002 (not registered) and 42501 (insufficient_privilege: registered by another).$$;

revoke all on function postroad.ack_events from public;
grant execute on function postroad.ack_events to postroad_consumer, postroad_admin;
