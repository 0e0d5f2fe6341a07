"""What APIFairy's document lacks: errors with their kinds, headers, examples, and what is true of all operations.

APIFairy knows what a view's decorators say of it. Everything here follows from the same decorators: a view with
credentials can answer 401, one with a body 400, 413 and 415, one with an id 404.
"""

from inspect import cleandoc
from typing import Any

from flask_httpauth import HTTPBasicAuth, HTTPTokenAuth

from api import problems
from api.edge.components import (
    DESCRIPTIONS,
    LIMITED,
    UNAUTHORIZED_BASIC,
    Json,
    components,
    headers,
    headers_everywhere,
    response_name,
)
from api.edge.idempotency import REPLAYED
from api.edge.negotiation import JSON, PART
from api.edge.paging import PLACE
from api.edge.sparse import members_of
from api.edge.views import notes_of
from api.extensions import passwords
from api.problems import Problem
from api.schemas.base import MAX_ID
from api.scopes import SCOPES

ID = {'type': 'integer', 'format': 'int64', 'minimum': 1, 'maximum': MAX_ID, 'examples': [123]}
WRITES = ('post', 'put', 'patch', 'delete')
NEW_PASSWORDS = (('NewUser', 'password'), ('PasswordChange', 'new_password'), ('Reset', 'new_password'))

ANYWHERE = (problems.BAD_REQUEST, problems.METHOD_NOT_ALLOWED, problems.INTERNAL_ERROR, problems.UNAVAILABLE)
OF_BODIES = (problems.MALFORMED_BODY, problems.INVALID_FIELDS, problems.BODY_TOO_LARGE, problems.WRONG_MEDIA_TYPE)
OF_KEYS = (problems.INVALID_FIELDS, problems.REQUEST_IN_FLIGHT, problems.KEY_REUSED)


def complete(document: Json) -> Json:
    """APIFairy's document, completed."""
    document['info'].update(
        license={'name': 'MIT', 'identifier': 'MIT'}, contact={'name': 'The maintainers of Microblog API'}
    )
    document['servers'] = [{'url': '/', 'description': 'This server', 'x-internal': False}]
    document['x-headers'] = headers_everywhere()
    for kind, parts in components().items():
        document['components'].setdefault(kind, {}).update(parts)
    schemas = document['components']['schemas']
    for schema, member in NEW_PASSWORDS:
        schemas[schema]['properties'][member]['minLength'] = passwords.min_length
    for path in document['paths'].values():
        for method, operation in path.items():
            notes = notes_of(operation['operationId'].replace('_', '.', 1))
            complete_operation(method, operation, notes)
            share_parameters(operation, document['components']['parameters'])
            if has_tag(method, notes):
                add_part(operation['responses']['200']['content'], schemas)
            add_examples(operation, schemas)
    return document


def complete_operation(method: str, operation: Json, notes: Json) -> None:
    require_scopes(operation)
    if 'deprecation' in notes:
        operation['deprecated'] = True
        operation['description'] += f'\n\n{notes["deprecation_notice"]}'
    for parameter in operation['parameters']:
        if parameter['in'] == 'path':
            parameter.update(schema=ID, description='Its id.')
    complete_success(method, operation['responses'][str(notes.get('status_code', 204))], notes)
    add_errors(operation, possible_problems(method, operation, notes), isinstance(notes.get('auth'), HTTPBasicAuth))
    if has_tag(method, notes):
        name = 'PageNotModified' if 'paged' in notes else 'NotModified'
        operation['responses']['304'] = {'$ref': f'#/components/responses/{name}'}
    operation['parameters'] += parameters(method, notes)
    operation['responses'] = dict(sorted(operation['responses'].items()))


def share_parameters(operation: Json, shared: Json) -> None:
    """Says once what all pages are asked by."""
    for place, parameter in enumerate(operation['parameters']):
        if parameter.get('name') in PLACE:
            name = parameter['name'].title().replace('_', '')
            shared[name] = parameter
            operation['parameters'][place] = {'$ref': f'#/components/parameters/{name}'}


def require_scopes(operation: Json) -> None:
    for requirement in operation.setdefault('security', []):
        for name, scopes in requirement.items():
            requirement[name] = [scope for scope in scopes if scope in SCOPES]
            for scope in requirement[name]:
                operation['description'] += f'\n\nNeeds the scope `{scope}`.'


def complete_success(method: str, answer: Json, notes: Json) -> None:
    """The answer of a request that succeeds: its media type, what it is, and its headers."""
    if media_type := notes.get('media_type'):
        answer['content'] = {media_type: answer['content'].pop(JSON)}
    if notes.get('response') and notes['response'].__doc__:
        answer['description'] = cleandoc(notes['response'].__doc__)
    said = {
        'ETag': has_tag(method, notes) or (method == 'patch' and 'represent' in notes),
        'Link': notes.get('paged'),
        'Location': notes.get('status_code') == 201,
        'Content-Disposition': notes.get('media_type'),
        REPLAYED: method == 'post',
        **dict.fromkeys(LIMITED, is_limited(notes)),
    }
    answer['headers'] = headers(*(name for name, is_said in said.items() if is_said))


def has_tag(method: str, notes: Json) -> bool:
    return method == 'get' and ('represent' in notes or 'paged' in notes)


def is_limited(notes: Json) -> bool:
    return bool(notes.get('limits')) or isinstance(notes.get('auth'), HTTPTokenAuth)


def possible_problems(method: str, operation: Json, notes: Json) -> list[Problem]:
    """What can go wrong, as it follows from a view's decorators."""
    has_id = any(parameter['in'] == 'path' for parameter in operation['parameters'])
    possible: list[tuple[Any, tuple[Problem, ...]]] = [
        (True, ANYWHERE),
        (notes.get('auth'), (problems.UNAUTHORIZED,)),
        (set(notes.get('roles', [])) & set(SCOPES), (problems.INSUFFICIENT_SCOPE,)),
        (is_limited(notes), (problems.TOO_MANY_REQUESTS,)),
        (notes.get('args'), (problems.INVALID_FIELDS,)),
        (notes.get('body'), OF_BODIES),
        (has_id, (problems.NOT_FOUND,)),
        (notes.get('response'), (problems.NOT_ACCEPTABLE,)),
        (has_tag(method, notes), (problems.UNKNOWN_MEMBER,)),
        (notes.get('paged'), (problems.UNKNOWN_POSITION,)),
        (method == 'post', OF_KEYS),
        (notes.get('conditional'), (problems.CHANGED_MEANWHILE,)),
        (True, notes.get('problems', ())),
    ]
    found = {problem for applies, those in possible if applies for problem in those}
    return [problem for problem in problems.PROBLEMS.values() if problem in found]


def add_errors(operation: Json, possible: list[Problem], is_basic: bool) -> None:
    """A response for each status, which names the kinds that it stands for; all kinds in `x-problems`."""
    described = {status: answer.get('description') for status, answer in operation['responses'].items()}
    for status in sorted({problem.status for problem in possible}):
        kinds = ', '.join(f'[{each.name}]({each.url})' for each in possible if each.status == status)
        description = f'{described.get(str(status)) or DESCRIPTIONS[status]}\n\nKinds: {kinds}.'
        name = UNAUTHORIZED_BASIC if is_basic and status == 401 else response_name(status)
        reference = f'#/components/responses/{name}'
        operation['responses'][str(status)] = {'$ref': reference, 'description': description}
    operation['x-problems'] = [problem.url for problem in possible]


def parameters(method: str, notes: Json) -> list[Json]:
    """Those that operations take alike."""
    references = {
        'IfNoneMatch': has_tag(method, notes),
        'IfMatch': notes.get('conditional'),
        'IdempotencyKey': method == 'post',
        'Prefer': method in WRITES,
    }
    taken = [{'$ref': f'#/components/parameters/{name}'} for name, is_taken in references.items() if is_taken]
    return [fields_parameter(notes), *taken] if has_tag(method, notes) else taken


def fields_parameter(notes: Json) -> Json:
    members = list(members_of(notes['response'])[0])
    return {
        'in': 'query',
        'name': 'fields',
        'description': 'The members that the answer is to have, or its items; all where nothing is said.',
        'style': 'form',
        'explode': False,
        'schema': {
            'type': 'array',
            'items': {'type': 'string', 'enum': members},
            'minItems': 1,
            'maxItems': len(members),
            'uniqueItems': True,
        },
    }


def add_part(content: Json, schemas: Json) -> None:
    """The form that an answer has when `fields` asks for some of its members."""
    whole = schemas[name_of(content[JSON])]
    name = f'{name_of(content[JSON])}Part'
    if 'items' in whole['properties']:
        item = name_of({'schema': whole['properties']['items']['items']})
        schemas[f'{item}Part'] = part_of(schemas[item])
        items = whole['properties']['items'] | {'items': {'$ref': f'#/components/schemas/{item}Part'}}
        schemas[name] = {**whole, 'properties': whole['properties'] | {'items': items}}
    else:
        schemas[name] = part_of(whole)
    content[PART] = {'schema': {'$ref': f'#/components/schemas/{name}'}}


def part_of(schema: Json) -> Json:
    return {name: value for name, value in schema.items() if name != 'required'}


def name_of(media: Json) -> str:
    """The name of the schema that a media type refers to."""
    return str(media['schema']['$ref'].rpartition('/')[2])


def add_examples(operation: Json, schemas: Json) -> None:
    add_content_examples(operation.get('requestBody', {}), schemas)
    for response in operation['responses'].values():
        add_content_examples(response, schemas)


def add_content_examples(part: Json, schemas: Json) -> None:
    """Gives each body an example, put together from those of its schema's members."""
    for media in part.get('content', {}).values():
        media.setdefault('example', example_of(media['schema'], schemas))


def example_of(schema: Json, schemas: Json) -> Any:
    if '$ref' in schema:
        return example_of(schemas[schema['$ref'].rpartition('/')[2]], schemas)
    if 'examples' in schema:
        return schema['examples'][0]
    if 'items' in schema:
        return [example_of(schema['items'], schemas)]
    return {name: example_of(member, schemas) for name, member in schema['properties'].items()}
