"""Completion of APIFairy's document: errors and their problem types, headers, examples, and common parameters.

Everything is derived from the decorators of the views, as APIFairy does: a view with authentication can return 401, one
with a body 400, 413 and 415, one with an id 404.
"""

from inspect import cleandoc
from typing import Any

from flask import current_app
from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth

from api import problems
from api.http.idempotency import REPLAYED_HEADER
from api.http.negotiation import JSON, PARTIAL_JSON
from api.http.openapi.components import (
    DESCRIPTIONS,
    RATE_LIMIT_HEADERS,
    UNAUTHORIZED_BASIC,
    Json,
    build_components,
    common_headers,
    header_refs,
    response_name,
)
from api.http.openapi.operation_ids import operation_id, tag_name
from api.http.pagination.collections import PAGE_PARAMETERS
from api.http.sparse_fieldsets import selectable_fields
from api.http.view_spec import view_spec
from api.problems import Problem
from api.schemas.base import MAX_ID
from api.security.passwords import passwords
from api.security.scopes import SCOPES

ID_SCHEMA = {'type': 'integer', 'format': 'int64', 'minimum': 1, 'maximum': MAX_ID, 'examples': [123]}
WRITE_METHODS = ('post', 'put', 'patch', 'delete')
PASSWORD_FIELDS = (('UserCreate', 'password'), ('PasswordChange', 'new_password'), ('PasswordReset', 'new_password'))

COMMON_PROBLEMS = (problems.BAD_REQUEST, problems.METHOD_NOT_ALLOWED, problems.INTERNAL_ERROR, problems.UNAVAILABLE)
BODY_PROBLEMS = (
    problems.MALFORMED_BODY,
    problems.INVALID_FIELDS,
    problems.BODY_TOO_LARGE,
    problems.UNSUPPORTED_MEDIA_TYPE,
)
IDEMPOTENCY_PROBLEMS = (problems.INVALID_FIELDS, problems.REQUEST_IN_PROGRESS, problems.IDEMPOTENCY_KEY_REUSED)


def complete_document(document: Json) -> Json:
    """Complete APIFairy's document in place, and return it."""
    document['info'].update(
        license={'name': 'MIT', 'identifier': 'MIT'}, contact={'name': 'The maintainers of Microblog API'}
    )
    document['servers'] = [{'url': '/', 'description': 'This server', 'x-internal': False}]
    document['x-headers'] = common_headers()
    for section, parts in build_components().items():
        document['components'].setdefault(section, {}).update(parts)
    schemas = document['components']['schemas']
    for schema, field in PASSWORD_FIELDS:
        schemas[schema]['properties'][field]['minLength'] = passwords.min_length
    endpoints = {endpoint.replace('.', '_'): endpoint for endpoint in current_app.view_functions}
    for tag in document['tags']:
        tag['name'] = tag_name(tag['name'])
    for path in document['paths'].values():
        for method, operation in path.items():
            endpoint = endpoints[operation['operationId']]
            operation['operationId'] = operation_id(endpoint)
            operation['tags'] = [tag_name(tag) for tag in operation.get('tags', [])]
            spec = view_spec(endpoint)
            complete_operation(method, operation, spec)
            share_page_parameters(operation, document['components']['parameters'])
            if has_etag(method, spec):
                add_partial_content(operation['responses']['200']['content'], schemas)
            add_examples(operation, schemas)
    return document


def complete_operation(method: str, operation: Json, spec: Json) -> None:
    add_scopes(operation)
    if 'deprecation' in spec:
        operation['deprecated'] = True
        operation['description'] += f'\n\n{spec["deprecation_notice"]}'
    for parameter in operation['parameters']:
        if parameter['in'] == 'path':
            parameter.update(schema=ID_SCHEMA, description='The id of the resource.')
    complete_success_response(method, operation['responses'][str(spec.get('status_code', 204))], spec)
    add_errors(operation, possible_problems(method, operation, spec), isinstance(spec.get('auth'), HTTPBasicAuth))
    if has_etag(method, spec):
        name = 'PageNotModified' if 'paged' in spec else 'NotModified'
        operation['responses']['304'] = {'$ref': f'#/components/responses/{name}'}
    operation['parameters'] += parameters(method, spec)
    operation['responses'] = dict(sorted(operation['responses'].items()))


def share_page_parameters(operation: Json, shared: Json) -> None:
    """Move the parameters of pages to the components, and refer to them."""
    for index, parameter in enumerate(operation['parameters']):
        if parameter.get('name') in PAGE_PARAMETERS:
            name = parameter['name'].title().replace('_', '')
            shared[name] = parameter
            operation['parameters'][index] = {'$ref': f'#/components/parameters/{name}'}


def add_scopes(operation: Json) -> None:
    """Keep only the scopes of the API in the security requirements, and name them in the description."""
    for requirement in operation.setdefault('security', []):
        for name, scopes in requirement.items():
            requirement[name] = [scope for scope in scopes if scope in SCOPES]
            for scope in requirement[name]:
                operation['description'] += f'\n\nRequires the scope `{scope}`.'


def complete_success_response(method: str, response: Json, spec: Json) -> None:
    """Add the media type, the description and the headers of the success response."""
    if media_type := spec.get('media_type'):
        response['content'] = {media_type: response['content'].pop(JSON)}
    if spec.get('response') and spec['response'].__doc__:
        response['description'] = cleandoc(spec['response'].__doc__)
    conditions = {
        'ETag': has_etag(method, spec) or (method == 'patch' and 'render' in spec),
        'Link': spec.get('paged'),
        'Location': spec.get('status_code') == 201,
        'Content-Disposition': spec.get('media_type'),
        REPLAYED_HEADER: method == 'post',
        **dict.fromkeys(RATE_LIMIT_HEADERS, is_rate_limited(spec)),
    }
    response['headers'] = header_refs(*(name for name, applies in conditions.items() if applies))


def has_etag(method: str, spec: Json) -> bool:
    return method == 'get' and ('render' in spec or 'paged' in spec)


def is_rate_limited(spec: Json) -> bool:
    return bool(spec.get('limits')) or isinstance(spec.get('auth'), HTTPTokenAuth)


def possible_problems(method: str, operation: Json, spec: Json) -> list[Problem]:
    """Return the problem types of an operation, derived from the decorators of its view."""
    has_id = any(parameter['in'] == 'path' for parameter in operation['parameters'])
    possible: list[tuple[Any, tuple[Problem, ...]]] = [
        (True, COMMON_PROBLEMS),
        (spec.get('auth'), (problems.UNAUTHORIZED,)),
        (set(spec.get('roles', [])) & set(SCOPES), (problems.INSUFFICIENT_SCOPE,)),
        (is_rate_limited(spec), (problems.TOO_MANY_REQUESTS,)),
        (spec.get('args'), (problems.INVALID_FIELDS,)),
        (spec.get('body'), BODY_PROBLEMS),
        (has_id, (problems.NOT_FOUND,)),
        (spec.get('response'), (problems.NOT_ACCEPTABLE,)),
        (has_etag(method, spec), (problems.UNKNOWN_FIELD,)),
        (spec.get('paged'), (problems.INVALID_CURSOR,)),
        (method == 'post', IDEMPOTENCY_PROBLEMS),
        (spec.get('conditional'), (problems.PRECONDITION_FAILED,)),
        (True, spec.get('problems', ())),
    ]
    found = {problem for applies, group in possible if applies for problem in group}
    return [problem for problem in problems.PROBLEMS.values() if problem in found]


def add_errors(operation: Json, possible: list[Problem], is_basic: bool) -> None:
    """Add a response for each error status, which lists its problem types, and all problem types in `x-problems`."""
    described = {status: response.get('description') for status, response in operation['responses'].items()}
    for status in sorted({problem.status for problem in possible}):
        types = ', '.join(f'[{problem.name}]({problem.url})' for problem in possible if problem.status == status)
        description = f'{described.get(str(status)) or DESCRIPTIONS[status]}\n\nProblem types: {types}.'
        name = UNAUTHORIZED_BASIC if is_basic and status == 401 else response_name(status)
        reference = f'#/components/responses/{name}'
        operation['responses'][str(status)] = {'$ref': reference, 'description': description}
    operation['x-problems'] = [problem.url for problem in possible]


def parameters(method: str, spec: Json) -> list[Json]:
    """Return the parameters that operations have in common."""
    references = {
        'IfNoneMatch': has_etag(method, spec),
        'IfMatch': spec.get('conditional'),
        'IdempotencyKey': method == 'post',
        'Prefer': method in WRITE_METHODS,
    }
    used = [{'$ref': f'#/components/parameters/{name}'} for name, applies in references.items() if applies]
    return [fields_parameter(spec), *used] if has_etag(method, spec) else used


def fields_parameter(spec: Json) -> Json:
    fields = list(selectable_fields(spec['response'])[0])
    return {
        'in': 'query',
        'name': 'fields',
        'description': 'Comma-separated fields to return, in a collection those of each item. Default: all fields.',
        'style': 'form',
        'explode': False,
        'schema': {
            'type': 'array',
            'items': {'type': 'string', 'enum': fields},
            'minItems': 1,
            'maxItems': len(fields),
            'uniqueItems': True,
        },
    }


def add_partial_content(content: Json, schemas: Json) -> None:
    """Add the media type and schema of a response with a sparse fieldset."""
    schema = schemas[schema_name(content[JSON])]
    name = f'{schema_name(content[JSON])}Part'
    if 'items' in schema['properties']:
        item = schema_name({'schema': schema['properties']['items']['items']})
        schemas[f'{item}Part'] = partial_schema(schemas[item])
        items = schema['properties']['items'] | {'items': {'$ref': f'#/components/schemas/{item}Part'}}
        schemas[name] = {**schema, 'properties': schema['properties'] | {'items': items}}
    else:
        schemas[name] = partial_schema(schema)
    content[PARTIAL_JSON] = {'schema': {'$ref': f'#/components/schemas/{name}'}}


def partial_schema(schema: Json) -> Json:
    return {name: value for name, value in schema.items() if name != 'required'}


def schema_name(media: Json) -> str:
    """Return the name of the schema that a media type refers to."""
    return str(media['schema']['$ref'].rpartition('/')[2])


def add_examples(operation: Json, schemas: Json) -> None:
    add_content_examples(operation.get('requestBody', {}), schemas)
    for response in operation['responses'].values():
        add_content_examples(response, schemas)


def add_content_examples(part: Json, schemas: Json) -> None:
    """Add an example to each body, built from the examples of the fields in its schema."""
    for media in part.get('content', {}).values():
        media.setdefault('example', example_of(media['schema'], schemas))


def example_of(schema: Json, schemas: Json) -> Any:
    if '$ref' in schema:
        return example_of(schemas[schema['$ref'].rpartition('/')[2]], schemas)
    if 'examples' in schema:
        return schema['examples'][0]
    if 'items' in schema:
        return [example_of(schema['items'], schemas)]
    return {name: example_of(field, schemas) for name, field in schema['properties'].items()}
