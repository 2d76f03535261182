create or replace function postroad.register_consumer(
  consumer    text,
  since       timestamptz default null,
  event_types text[] default null
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  wrong text;
  begins txid_snapshot;
begin
  if (consumer ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$') is not true then
    raise exception 'not a name for a consumer: %', coalesce(quote_literal(consumer), 'null')
      using errcode = 'PR001', hint = 'Up to 63 letters, digits, _ . : and -, of which the first is a letter or digit.';
  end if;
  select t.name into wrong
  from unnest(event_types) as t (name)
  where (t.name !~ '^system\.(\*|[a-z][a-z0-9_]*)$'
    and t.name <> all ('{*,queued,sent,deferred,delivered,opened,clicked,converted,bounced,complained,unsubscribed,failed,expired,cancelled,suppressed,unknown,received}')) is not false
  limit 1;
  if found or cardinality(event_types) = 0 then
    raise exception 'unknown event type %', coalesce(quote_literal(wrong), 'null')
      using errcode = 'PR002', hint = '*, queued, sent, deferred, delivered, opened, clicked, converted, bounced, complained, unsubscribed, failed, expired, cancelled, suppressed, '
        || 'unknown, received; system.* or system.<kind>.';
  end if;
  if since is null then
    begins := postroad.event_snapshot();
  else
    begins := coalesce(
      (select t.snapshot from postroad.event_ticks as t where t.at <= since order by t.at desc limit 1),
      '3:3:');                                   -- all that is kept
  end if;
  insert into postroad.consumers (consumer, event_types, seen, seen_at, registered_by)
  values (consumer, event_types, begins,
    case when since is null then clock_timestamp() else least(greatest(since, 'epoch'), clock_timestamp()) end, postroad.consumer_owner())
  on conflict on constraint consumers_pkey do nothing;
  return found;
end;
$$;

comment on function postroad.register_consumer is
$$Registers a reader of events. since: null, the default, begins now; a time begins with what was committed after it, and up to a minute before, as far as it is kept; -infinity
with all that is kept. event_types: null, the default, is every event of messages; else those, such as {delivered,bounced,system.*}; '*' is every one of messages.
False when it is registered already, and nothing is changed then. It belongs to the database user who registers it, or over HTTP to the caller: nobody else but
operators can read it or end it. Raises PR001 (name) and PR002 (unknown event type).$$;

revoke all on function postroad.register_consumer from public;
grant execute on function postroad.register_consumer to postroad_consumer;

create or replace function postroad.unregister_consumer(consumer text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  owner text;
begin
  select c.registered_by into owner
  from postroad.consumers as c
  where c.consumer = unregister_consumer.consumer
    and c.consumer !~ '^_'
  for update;
  if not found then
    return false;
  end if;
  perform postroad.check_consumer_owner(consumer, owner);
  delete from postroad.consumers as c
  where c.consumer = unregister_consumer.consumer;
  return true;
end;
$$;

comment on function postroad.unregister_consumer is
$$Forgets a reader of events and its position. False when there is none of this name. It belongs to who registered it: raises 42501 (insufficient_privilege) for others but
operators (postroad_admin).$$;

revoke all on function postroad.unregister_consumer from public;
grant execute on function postroad.unregister_consumer to postroad_consumer, postroad_admin;
