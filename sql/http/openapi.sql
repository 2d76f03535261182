create or replace function postroad.http_openapi()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  problem constant jsonb := '{"$ref": "#/components/responses/Problem"}';
begin
  return jsonb_build_object(
    'openapi', '3.1.0',
    'info', jsonb_build_object('title', 'Postroad', 'version', '1', 'description',
      'The messaging layer of an organisation, in its Postgres. Errors are problem+json (RFC 9457): errors says which field is wrong. Calls that change something take an Idempotency-Key.'),
    'servers', '[{"url": "/"}]'::jsonb,
    'security', '[{"key": []}]'::jsonb,
    'paths', (
      select jsonb_object_agg('/api/v1' || p.path, p.methods)
      from (
        select r.path, jsonb_object_agg(lower(r.method), jsonb_strip_nulls(jsonb_build_object(
          'operationId', r.function,
          'summary', r.summary,
          'description', format('For %s.%s', array_to_string(r.roles, ', '), case when r.tenants then '' else ' Not for callers that are bound to a tenant.' end),
          'tags', jsonb_build_array(split_part(r.path, '/', 2)),
          'parameters', nullif(coalesce((
            select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', x.key, 'in', x.value -> 'in', 'required', x.value -> 'in' = '"path"' or x.value -> 'required' = 'true',
              'schema', x.value -> 'schema', 'description', x.value -> 'description')) order by x.value ->> 'in', x.key)
            from jsonb_each(r.parameters) as x
          ), '[]') || case when r.method = 'POST' then '[{"$ref": "#/components/parameters/IdempotencyKey"}]'::jsonb else '[]' end, '[]'),
          'requestBody', case when r.request is not null then jsonb_build_object('required', true,
            'content', jsonb_build_object('application/json', jsonb_build_object('schema', r.request))
              || case when r.is_stream then jsonb_build_object('application/x-ndjson', jsonb_build_object(
                'schema', jsonb_build_object('type', 'string', 'description',
                  'A line of JSON each: first the call, without recipients, then the recipients, as many as there are.'))) else '{}' end) end,
          'responses', jsonb_build_object(
            r.success::text, case
              when r.response is null then jsonb_build_object('description', 'Done')
              else jsonb_build_object('description', 'Done', 'content', jsonb_build_object('application/json', jsonb_build_object('schema', r.response)))
            end,
            '400', problem, '401', problem, '403', problem, '404', problem, '429', problem, '431', '{"description": "The head of the request is larger than 32 KiB"}'::jsonb, 'default', problem)
            || case when r.success = 202 then jsonb_build_object('200', jsonb_build_object('description', 'It was there already', 'content',
              jsonb_build_object('application/json', jsonb_build_object('schema', r.response)))) else '{}' end
        ))) as methods
        from postroad.api_routes as r
        group by r.path
      ) as p
    ),
    'components', $q${
      "securitySchemes": {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key (pr_live_…), or a JWT where the server is configured for them."}
      },
      "parameters": {
        "IdempotencyKey": {
          "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
          "description": "Up to 255 visible ASCII characters. For 24 hours, the same call with it gets the first answer, with Idempotency-Replay: true; another call 422, and 409 while the first one runs."
        }
      },
      "responses": {
        "Problem": {
          "description": "An answer that says no",
          "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        }
      },
      "schemas": {
        "Problem": {
          "type": "object",
          "required": ["type", "title", "status"],
          "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
              "type": "array",
              "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {"pointer": {"type": "string"}, "parameter": {"type": "string"}, "detail": {"type": "string"}}
              }
            }
          }
        }
      }
    }$q$::jsonb);
end;
$$;

comment on function postroad.http_openapi is 'The HTTP API as OpenAPI 3.1, made of api_routes.';

revoke all on function postroad.http_openapi from public;
grant execute on function postroad.http_openapi to postroad_http;
