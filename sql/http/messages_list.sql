create or replace function postroad.http_messages(
  call jsonb,
  out status smallint,
  out body   jsonb
)
language plpgsql
stable                                          -- all of a page is of one moment
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  p constant jsonb := call -> 'parameters';
  bound constant bigint := call -> 'caller' ->> 'tenant_id';
  page_size integer;
  -- What a page costs at most, however few fit: records, or entries of an index; looks at a message's events or record; statuses that turn out to be others.
  looks integer := case when bound is not null or not p ? 'status' then 10000 else 50000 end;
  checks integer := 1000;
  misses integer := 200;
  step integer;
  seen integer := 0;
  last_id uuid;
  id uuid;
  item jsonb;
  items jsonb[] := '{}';
  part record;
  in_flight uuid[];
begin
  body := postroad.request_problem('GET', '/messages', call);
  if body is not null then
    status := (body ->> 'status')::smallint;
    return;
  end if;
  page_size := coalesce((p ->> 'limit')::integer, 50);
  step := 2 * page_size;
  last_id := coalesce(postroad.read_cursor(p ->> 'cursor'), 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  <<page>>
  loop
    select x.* into part
    from postroad.look_through_messages(p, bound, last_id, least(step, looks), checks) as x;
    in_flight := postroad.in_flight_of(part.message_ids);
    foreach id in array part.message_ids loop
      continue when id >= last_id;               -- twice
      last_id := id;
      item := postroad.message_json(id, in_flight);
      if item is not null and (not p ? 'status' or item ->> 'status' = p ->> 'status') then
        items := items || item;
        exit page when cardinality(items) >= page_size;
      else
        misses := misses - 1;
        exit page when misses <= 0;
      end if;
    end loop;
    if part.is_end then
      last_id := null;
      exit;
    end if;
    last_id := part.looked_to;
    looks := looks - part.looked;
    checks := checks - part.checked;
    exit when looks <= 0 or checks <= 0;
    seen := seen + part.looked;
    step := least(4 * step, 50000, case when items <> '{}' then page_size + seen / cardinality(items) * (page_size - cardinality(items)) end);
  end loop;
  status := 200;
  body := jsonb_build_object('messages', to_jsonb(items), 'next_cursor', postroad.write_cursor(last_id));
end;
$$;

comment on function postroad.http_messages is
$$GET /messages: the newest first. A page looks through 10,000 messages at most, or 50,000 entries of the queue or of events, and at 1,000 messages more closely: it may be short, or empty,
and next_cursor goes on from there; without next_cursor there are no more.$$;

revoke all on function postroad.http_messages from public;
grant execute on function postroad.http_messages to postroad_http;

select postroad.put_route('GET', '/messages', 'http_messages', '{reader,admin}', 'Messages, the newest first',
  cost => 5,
  parameters => '{
    "status": {"in": "query", "schema": {"type": "string", "enum": ["scheduled", "queued", "processing", "sent", "delivered", "bounced", "failed", "cancelled", "expired", "suppressed", "unknown"]}},
    "channel": {"in": "query", "schema": {"type": "string", "enum": ["email", "sms", "push", "voice", "in_app", "webhook"]}},
    "message_type": {"in": "query", "schema": {"type": "string", "enum": ["emergency", "alert", "newsletter", "campaign", "transactional"]}},
    "priority": {"in": "query", "schema": {"type": "string", "enum": ["P0", "P1", "P2", "P3", "P4"]}},
    "source": {"in": "query", "schema": {"type": "string", "minLength": 1, "maxLength": 300}, "description": "A source_type, or source_type:source_id."},
    "batch_id": {"in": "query", "schema": {"type": "string", "format": "uuid"}},
    "limit": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}},
    "cursor": {"in": "query", "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}, "description": "next_cursor of the page before. A page may be short, or empty: it goes on until there is no next_cursor."}
  }',
  response => jsonb_build_object('type', 'object', 'required', '["messages"]'::jsonb, 'properties', jsonb_build_object(
    'messages', jsonb_build_object('type', 'array', 'items', postroad.message_response()),
    'next_cursor', '{"type": ["string", "null"]}'::jsonb)));
