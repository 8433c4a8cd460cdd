'use strict';

const { SluiceException, SluiceExceptionFilter } = require('./nestjs/exception');
const { SluiceGuard } = require('./nestjs/guard');
const { SluiceModule } = require('./nestjs/module');
const { SkipSluice, Sluice } = require('./nestjs/decorators');

module.exports = { SkipSluice, Sluice, SluiceException, SluiceExceptionFilter, SluiceGuard, SluiceModule };
