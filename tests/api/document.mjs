// The OpenAPI document, and its schemas compiled: for the test beside this file and for whoever wants
// to check a real answer against it.
import Ajv2020 from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';

export const root = new URL('../../', import.meta.url);
export const document = JSON.parse(readFileSync(new URL('core/app/api/openapi.json', root), 'utf8'));

const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true, allowUnionTypes: true,
	formats: { uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/ } });
ajv.addVocabulary(['discriminator', 'components', 'x-status']);
ajv.addSchema({ $id: 'openapi', components: document.components });

/** A compiled schema of the document, by its place: '#/components/schemas/Run'. */
export function schemaAt(pointer) {
	return ajv.compile({ $ref: `openapi${pointer}` });
}

/** A schema that stands somewhere in the document, with references into it. */
export function compile(schema) {
	const absolute = JSON.parse(JSON.stringify(schema), (key, value) => (key === '$ref' ? `openapi${value}` : value));
	return ajv.compile(absolute);
}

const compiled = new Map();

/** Throws, naming what is wrong where, unless value is a NAME (of components.schemas). */
export function assertIs(name, value) {
	const choice = document.components.schemas[name].discriminator;
	if (choice) { // names the one schema that counts, so that the error is about that one
		const target = choice.mapping[value?.[choice.propertyName]];
		if (target === undefined)
			throw new Error(`not a ${name}: ${choice.propertyName} is ${JSON.stringify(value?.[choice.propertyName])}`);
		assertIs(target.split('/').pop(), value);
		return;
	}
	if (!compiled.has(name))
		compiled.set(name, schemaAt(`#/components/schemas/${name}`));
	const validate = compiled.get(name);
	if (!validate(value))
		throw new Error(`not a ${name}: ${ajv.errorsText(validate.errors, { separator: '; ' })}`);
}
