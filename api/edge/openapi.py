"""What APIFairy's document lacks: errors with their bodies and headers, examples, and what is true of all operations.

APIFairy knows what a view's decorators say of it. Everything here follows from the same decorators: a view with
credentials can answer 401, one with a body 400, 413 and 415, one with an id 404.
"""

from inspect import cleandoc
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import current_app
from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth
from werkzeug.http import HTTP_STATUS_CODES

from api.edge.bodies import MERGE_PATCH
from api.edge.limits import TOKEN
from api.edge.rendering import PAGES, PROBLEM, SECONDS_UNTIL_RETRY, as_error, as_problem
from api.errors import ApiError, FieldErrors
from api.extensions import passwords
from api.schemas.errors import ErrorSchema, ProblemSchema
from api.scopes import SCOPES

Json = dict[str, Any]

ID = {'type': 'integer', 'format': 'int64', 'minimum': 1, 'examples': [123]}
DESCRIPTIONS = {
    400: 'The request does not fit.',
    401: 'No credentials, or none that work.',
    403: 'Not permitted.',
    404: 'There is no such thing.',
    405: 'The URL exists, but not for this method.',
    409: 'Not as things are.',
    413: 'The body is too large.',
    415: 'The body is of another media type.',
    429: 'Too often. Try again later.',
    500: 'A fault of ours.',
    503: 'Out of order for a moment. Try again.',
}
# What examples say beyond the status: a message, and errors by field.
DETAILS: dict[int, tuple[str, FieldErrors | None]] = {
    400: ('the request does not fit its schema', {'email': ['Longer than maximum length 120.']}),
    415: ('the body must be application/json', None),
}
EVERYWHERE = {405, 500, 503}
NEW_PASSWORDS = (('NewUser', 'password'), ('PasswordChange', 'new_password'), ('Reset', 'new_password'))


def complete(document: Json) -> Json:
    """APIFairy's document, completed."""
    document['info'].update(
        license={'name': 'MIT', 'identifier': 'MIT'}, contact={'name': 'The maintainers of Microblog API'}
    )
    document['servers'] = [{'url': '/', 'description': 'This server'}]
    components = document['components']
    components['schemas'] |= error_schemas()
    for schema, member in NEW_PASSWORDS:
        components['schemas'][schema]['properties'][member]['minLength'] = passwords.min_length
    components['responses'] = {response_name(status): error_response(status) for status in DESCRIPTIONS}
    for path in document['paths'].values():
        for operation in path.values():
            view: Any = current_app.view_functions[operation['operationId'].replace('_', '.', 1)]
            complete_operation(operation, view._spec)
            add_examples(operation, components['schemas'])
    return document


def error_schemas() -> Json:
    plugin = MarshmallowPlugin(schema_name_resolver=lambda schema: type(schema).__name__.removesuffix('Schema'))
    spec = APISpec('', '', '3.1.0', plugins=[plugin])
    for schema in (ErrorSchema, ProblemSchema):
        spec.components.schema(schema.__name__.removesuffix('Schema'), schema=schema)
    schemas: Json = spec.to_dict()['components']['schemas']
    return schemas


def complete_operation(operation: Json, spec: Json) -> None:
    responses = operation['responses']
    for status in possible_errors(operation, spec):
        described = responses.get(str(status), {}).get('description')
        responses[str(status)] = {'$ref': f'#/components/responses/{response_name(status)}'} | (
            {'description': described} if described else {}
        )
    operation.setdefault('security', [])
    for requirement in operation['security']:
        for name, scopes in requirement.items():
            requirement[name] = [scope for scope in scopes if scope in SCOPES]
            for scope in requirement[name]:
                operation['description'] += f'\n\nNeeds the scope `{scope}`.'
    if media_type := spec.get('media_type'):
        answer = responses[str(spec['status_code'])]
        answer['content'] = {media_type: answer['content'].pop('application/json')}
    if spec.get('response') and spec['response'].__doc__:
        responses[str(spec['status_code'])]['description'] = cleandoc(spec['response'].__doc__)
    if '201' in responses:
        responses['201']['headers'] = header('Location', 'The URL of the new resource.', '/api/users/123')
    if isinstance(spec.get('auth'), HTTPBasicAuth):
        challenge = header('WWW-Authenticate', 'How to authenticate.', spec['auth'].authenticate_header())
        responses['401'] = error_response(401) | {'headers': challenge | limit_headers()}
    if '429' in responses:
        success = next(answer for status, answer in responses.items() if status < '300')
        success['headers'] = success.get('headers', {}) | limit_headers()
    operation['responses'] = dict(sorted(responses.items()))
    for parameter in operation['parameters']:
        if parameter['in'] == 'path':
            parameter.update(schema=ID, description='Its id.')


def possible_errors(operation: Json, spec: Json) -> set[int]:
    """The statuses above 399 that follow from a view's decorators."""
    statuses = EVERYWHERE | {int(status) for status in spec.get('other_responses', {})}
    if spec.get('auth'):
        statuses |= {401}
    if set(spec.get('roles', [])) & set(SCOPES):
        statuses |= {403}
    if spec.get('limits') or isinstance(spec.get('auth'), HTTPTokenAuth):
        statuses |= {429}
    if spec.get('args'):
        statuses |= {400}
    if spec.get('body'):
        statuses |= {400, 413, 415}
    if any(parameter['in'] == 'path' for parameter in operation['parameters']):
        statuses |= {404}
    return statuses


def response_name(status: int) -> str:
    """404 gives NotFound."""
    return ''.join(word for word in HTTP_STATUS_CODES[status].title() if word.isalpha())


def error_response(status: int) -> Json:
    error = ApiError(status, *DETAILS.get(status, ()))
    problem = as_problem(error, '/api/users')
    content: Json = {
        'application/json': {'schema': {'$ref': '#/components/schemas/Error'}, 'example': as_error(error)},
        PROBLEM: {'schema': {'$ref': '#/components/schemas/Problem'}, 'example': problem},
    }
    if status in PAGES:
        content['text/html'] = {'schema': {'type': 'string'}}
    return {'description': DESCRIPTIONS[status], 'content': content} | error_headers(status)


def error_headers(status: int) -> Json:
    headers = {
        401: header('WWW-Authenticate', 'How to authenticate.', 'Bearer realm="Authentication Required"'),
        403: header(
            'WWW-Authenticate',
            'The scope that the token lacks, where it is for that.',
            'Bearer error="insufficient_scope", scope="posts:write"',
            required=False,
        ),
        405: header('Allow', 'The methods that there are.', 'GET, HEAD, OPTIONS'),
        415: header(
            'Accept-Patch', 'The media type of a patch, where the request was one.', MERGE_PATCH, required=False
        ),
        429: header('Retry-After', 'After how many seconds to try again.', '120'),
        503: header('Retry-After', 'After how many seconds to try again.', str(SECONDS_UNTIL_RETRY)),
    }
    return {'headers': headers.get(status, {}) | limit_headers(required=status == 429)}


def limit_headers(*, required: bool = False) -> Json:
    """What limited answers tell, where the server limits."""
    policy = header('RateLimit-Policy', 'How often within how many seconds.', TOKEN.policy, required=required)
    left = header('RateLimit', 'How often still, and for how many seconds.', '"token";r=299;t=300', required=required)
    return policy | left


def header(name: str, description: str, example: str, *, required: bool = True) -> Json:
    return {name: {'description': description, 'required': required, 'schema': {'type': 'string'}, 'example': example}}


def add_examples(operation: Json, schemas: Json) -> None:
    add_content_examples(operation.get('requestBody', {}), schemas)
    for response in operation['responses'].values():
        add_content_examples(response, schemas)


def add_content_examples(part: Json, schemas: Json) -> None:
    """Gives each body an example, put together from those of its schema's members."""
    for media in part.get('content', {}).values():
        if '$ref' in media['schema'] and 'example' not in media:
            media['example'] = example_of(media['schema'], schemas)


def example_of(schema: Json, schemas: Json) -> Any:
    if '$ref' in schema:
        return example_of(schemas[schema['$ref'].rpartition('/')[2]], schemas)
    if 'examples' in schema:
        return schema['examples'][0]
    if 'items' in schema:
        return [example_of(schema['items'], schemas)]
    return {name: example_of(member, schemas) for name, member in schema['properties'].items()}
